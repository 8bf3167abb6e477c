// A TCP proxy that moves bytes by splice(2) through one pipe, on epoll. It
// waits while the other side does not take them, for all connections alike: it
// says what bulk costs at least, and is no server to run.
// proxy_splice WHERE UPSTREAM
#define _GNU_SOURCE
#include "net.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>

#define MAX_FDS 65536
#define MOST (1 << 20)

static int poll_fd, tube[2], other[MAX_FDS];
static char ended[MAX_FDS];

static void watch(int fd) {
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
}

static void pair(int fd, const char *upstream) {
	int up = dial(upstream);
	if (up < 0) {
		close(fd);
		return;
	}
	no_delay(fd);
	other[fd] = up, other[up] = fd;
	ended[fd] = ended[up] = 0;
	watch(fd);
	watch(up);
}

static void end(int fd) {
	int to = other[fd];
	epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
	shutdown(to, SHUT_WR);
	ended[fd] = 1;
	if (ended[to]) {
		close(fd);
		close(to);
	}
}

static void move(int fd) {
	ssize_t n = splice(fd, NULL, tube[1], NULL, MOST, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		end(fd);
		return;
	}
	while (n > 0) {
		ssize_t took = splice(tube[0], NULL, other[fd], NULL, n, SPLICE_F_MOVE);
		if (took <= 0)
			die("splice"); // what is left in the pipe would reach another connection
		n -= took;
	}
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	int listener = listen_on(argv[1], SOCK_NONBLOCK);
	struct epoll_event events[512];
	signal(SIGPIPE, SIG_IGN);
	if (pipe(tube) < 0)
		die("pipe");
	fcntl(tube[1], F_SETPIPE_SZ, MOST);
	poll_fd = epoll_create1(0);
	watch(listener);
	for (;;) {
		int n = epoll_wait(poll_fd, events, 512, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				move(events[i].data.fd);
				continue;
			}
			int fd = accept(listener, NULL, NULL);
			if (fd >= 0)
				pair(fd, argv[2]);
		}
	}
}

// An echo server on level-triggered epoll: what readiness costs at least.
// echo_epoll WHERE
#define _GNU_SOURCE
#include "net.h"
#include <sys/epoll.h>

static int poll_fd;
static char buffer[65536];

static void watch(int fd) {
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		close(fd);
}

static void echo(int fd) {
	ssize_t n = recv(fd, buffer, sizeof buffer, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	for (ssize_t at = 0; at < n;) {
		ssize_t took = send(fd, buffer + at, n - at, MSG_NOSIGNAL);
		if (took < 0 && errno != EAGAIN)
			n = -1;
		else if (took > 0)
			at += took;
	}
	if (n <= 0)
		close(fd);
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	int listener = listen_on(argv[1], SOCK_NONBLOCK);
	struct epoll_event events[512];
	poll_fd = epoll_create1(0);
	watch(listener);
	for (;;) {
		int n = epoll_wait(poll_fd, events, 512, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				echo(events[i].data.fd);
				continue;
			}
			int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
			if (fd >= 0) {
				no_delay(fd);
				watch(fd);
			}
		}
	}
}

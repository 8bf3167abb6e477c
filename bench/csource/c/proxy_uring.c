// A TCP proxy on io_uring, made like echo_uring.c. It hands on ends of streams.
// proxy_uring WHERE UPSTREAM SIZE COUNT [inc]
#define _GNU_SOURCE
#include "net.h"
#include "ring.h"

static const char *upstream;
static int other[MAX_FDS];
static char ended[MAX_FDS];   // nothing comes from it any more
static char flushed[MAX_FDS]; // and all that came is sent

static void pair(int fd) {
	int up = dial(upstream);
	if (up < 0) {
		close(fd);
		return;
	}
	no_delay(fd);
	other[fd] = up, other[up] = fd;
	ended[fd] = ended[up] = flushed[fd] = flushed[up] = 0;
	arm_recv(fd);
	arm_recv(up);
}

static void finish(int fd) {
	int to = other[fd];
	shutdown(to, SHUT_WR);
	flushed[fd] = 1;
	if (flushed[to]) {
		close(fd);
		close(to);
	}
}

static void complete(int kind, int fd, int id, const struct io_uring_cqe *c) {
	int more = c->flags & IORING_CQE_F_MORE;
	switch (kind) {
	case ACCEPT:
		if (c->res >= 0)
			pair(c->res);
		if (!more)
			arm_accept(fd);
		break;
	case RECV:
		if (c->res > 0)
			queue_out(other[fd], take(c));
		if (c->res > 0 || c->res == -ENOBUFS) {
			if (!more)
				arm_recv(fd);
			break;
		}
		ended[fd] = 1;
		if (first_out[other[fd]] < 0)
			finish(fd);
		break;
	case SEND:
		if (!sent_first(fd, id, c->res) && ended[other[fd]])
			finish(other[fd]);
		break;
	}
}

int main(int argc, char **argv) {
	if (argc < 5)
		return 2;
	upstream = argv[2];
	make_ring(atoi(argv[3]), atoi(argv[4]), argc > 5);
	arm_accept(listen_on(argv[1], 0));
	serve(complete);
}

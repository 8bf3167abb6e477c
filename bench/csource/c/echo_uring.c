// An echo server on io_uring: multishot accept and receive, each send straight
// out of the buffer that the kernel received into.
// echo_uring WHERE SIZE COUNT [inc]: COUNT buffers of SIZE bytes, incremental ones
#define _GNU_SOURCE
#include "net.h"
#include "ring.h"

static void complete(int kind, int fd, int id, const struct io_uring_cqe *c) {
	int more = c->flags & IORING_CQE_F_MORE;
	switch (kind) {
	case ACCEPT:
		if (c->res >= 0) {
			no_delay(c->res);
			arm_recv(c->res);
		}
		if (!more)
			arm_accept(fd);
		break;
	case RECV:
		if (c->res > 0)
			queue_out(fd, take(c));
		if (c->res > 0 || c->res == -ENOBUFS) {
			if (!more)
				arm_recv(fd);
		} else {
			close(fd);
		}
		break;
	case SEND:
		sent_first(fd, id, c->res);
		break;
	}
}

int main(int argc, char **argv) {
	if (argc < 4)
		return 2;
	make_ring(atoi(argv[2]), atoi(argv[3]), argc > 4);
	arm_accept(listen_on(argv[1], 0));
	serve(complete);
}

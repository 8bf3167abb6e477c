// One io_uring and one ring of provided buffers, on raw system calls: as little
// as a single-threaded server needs. With incremental buffers
// (IOU_PBUF_RING_INC, Linux 6.12) many receives share one large buffer.
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define SQ_ENTRIES 4096
#define CQ_ENTRIES (4 * SQ_ENTRIES)
#define MAX_BUFFERS 4096
#define MAX_PIECES 65536
#define MAX_FDS 65536
#define RING_INC 2    // IOU_PBUF_RING_INC
#define MORE_IN_IT 16 // IORING_CQE_F_BUF_MORE

enum { ACCEPT = 1, RECV, SEND };

static int ring_fd;
static unsigned *sq_tail, *sq_array, sq_mask, *cq_head, *cq_tail, cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static unsigned made, entered; // SQEs that were made, and that the kernel has taken

static int enter(unsigned wait) {
	__atomic_store_n(sq_tail, made, __ATOMIC_RELEASE);
	int n = syscall(__NR_io_uring_enter, ring_fd, made - entered, wait, IORING_ENTER_GETEVENTS, NULL, 0);
	if (n > 0)
		entered += n;
	else if (n < 0 && errno != EINTR && errno != EBUSY && errno != EAGAIN)
		die("io_uring_enter");
	return n;
}

static struct io_uring_sqe *sqe(int op, int fd, int kind, unsigned id) {
	while (made - entered >= SQ_ENTRIES)
		enter(0);
	unsigned i = made++ & sq_mask;
	struct io_uring_sqe *s = &sqes[i];
	sq_array[i] = i;
	memset(s, 0, sizeof *s);
	s->opcode = op;
	s->fd = fd;
	s->user_data = (uint64_t)kind << 56 | (uint64_t)id << 32 | (unsigned)fd;
	return s;
}

static void *shared(size_t size, off_t what) {
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_fd, what);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void *memory(size_t size) {
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

// The buffers. A piece is what one receive has filled: a whole buffer, or with
// incremental ones a part of it.
static struct io_uring_buf_ring *given;
static char *buffers;
static int buffer_size, buffer_count, incremental;
static unsigned short given_tail;
static int filled[MAX_BUFFERS], lent[MAX_BUFFERS];
static char whole[MAX_BUFFERS];
static struct { int buffer, offset, length, next; } piece[MAX_PIECES];
static int spare_piece = -1;

static void give(int b) {
	struct io_uring_buf *e = &given->bufs[given_tail++ & (buffer_count - 1)];
	e->addr = (uintptr_t)(buffers + (size_t)b * buffer_size);
	e->len = buffer_size;
	e->bid = b;
	__atomic_store_n(&given->tail, given_tail, __ATOMIC_RELEASE);
}

static int take(const struct io_uring_cqe *c) {
	int b = c->flags >> IORING_CQE_BUFFER_SHIFT, p = spare_piece;
	if (p < 0) {
		fprintf(stderr, "out of pieces\n");
		exit(1);
	}
	spare_piece = piece[p].next;
	piece[p].buffer = b;
	piece[p].offset = filled[b];
	piece[p].length = c->res;
	piece[p].next = -1;
	lent[b]++;
	filled[b] += c->res;
	if (!incremental || !(c->flags & MORE_IN_IT))
		whole[b] = 1;
	return p;
}

static void give_back(int p) {
	int b = piece[p].buffer;
	piece[p].next = spare_piece;
	spare_piece = p;
	if (--lent[b] == 0 && whole[b]) {
		whole[b] = 0;
		filled[b] = 0;
		give(b);
	}
}

static void make_ring(int size, int count, int inc) {
	struct io_uring_params p = {.cq_entries = CQ_ENTRIES};
	p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
	ring_fd = syscall(__NR_io_uring_setup, SQ_ENTRIES, &p);
	if (ring_fd < 0)
		die("io_uring_setup");
	size_t a = p.sq_off.array + p.sq_entries * sizeof(unsigned), b = p.cq_off.cqes + p.cq_entries * sizeof *cqes;
	char *rings = shared(a > b ? a : b, IORING_OFF_SQ_RING);
	sqes = shared(p.sq_entries * sizeof *sqes, IORING_OFF_SQES);
	sq_tail = (unsigned *)(rings + p.sq_off.tail);
	sq_array = (unsigned *)(rings + p.sq_off.array);
	sq_mask = *(unsigned *)(rings + p.sq_off.ring_mask);
	cq_head = (unsigned *)(rings + p.cq_off.head);
	cq_tail = (unsigned *)(rings + p.cq_off.tail);
	cq_mask = *(unsigned *)(rings + p.cq_off.ring_mask);
	cqes = (struct io_uring_cqe *)(rings + p.cq_off.cqes);

	buffer_size = size, buffer_count = count, incremental = inc;
	given = memory(count * sizeof(struct io_uring_buf));
	buffers = memory((size_t)size * count);
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)given, .ring_entries = count, .bgid = 1};
	unsigned short flags = inc ? RING_INC : 0;
	memcpy((char *)&reg + 14, &flags, sizeof flags); // older headers call this padding
	if (syscall(__NR_io_uring_register, ring_fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
		die("IORING_REGISTER_PBUF_RING");
	for (int i = 0; i < MAX_PIECES; i++)
		piece[i].next = spare_piece, spare_piece = i;
	for (int i = 0; i < count; i++)
		give(i);
}

static void arm_accept(int fd) { sqe(IORING_OP_ACCEPT, fd, ACCEPT, 0)->ioprio = IORING_ACCEPT_MULTISHOT; }

static void arm_recv(int fd) {
	struct io_uring_sqe *s = sqe(IORING_OP_RECV, fd, RECV, 0);
	s->ioprio = IORING_RECV_MULTISHOT;
	s->flags = IOSQE_BUFFER_SELECT;
	s->buf_group = 1;
}

// One send per socket keeps the order. What comes meanwhile waits in a list.
static int first_out[MAX_FDS], last_out[MAX_FDS];

static void send_first(int fd) {
	int p = first_out[fd];
	struct io_uring_sqe *s = sqe(IORING_OP_SEND, fd, SEND, p);
	s->addr = (uintptr_t)(buffers + (size_t)piece[p].buffer * buffer_size + piece[p].offset);
	s->len = piece[p].length;
	s->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

static void queue_out(int fd, int p) {
	if (first_out[fd] >= 0) {
		piece[last_out[fd]].next = p;
		last_out[fd] = p;
		return;
	}
	first_out[fd] = last_out[fd] = p;
	send_first(fd);
}

// sent_first ends a send, and begins the next. It reports whether there was one.
static int sent_first(int fd, int p, int result) {
	if (result != piece[p].length)
		shutdown(fd, SHUT_RDWR);
	first_out[fd] = piece[p].next;
	give_back(p);
	if (first_out[fd] < 0)
		return 0;
	send_first(fd);
	return 1;
}

static void serve(void (*complete)(int kind, int fd, int id, const struct io_uring_cqe *)) {
	for (int i = 0; i < MAX_FDS; i++)
		first_out[i] = -1;
	for (;;) {
		enter(1);
		unsigned head = *cq_head, tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE);
		for (; head != tail; head++) {
			const struct io_uring_cqe *c = &cqes[head & cq_mask];
			complete(c->user_data >> 56, (unsigned)c->user_data, c->user_data >> 32 & 0xffffff, c);
		}
		__atomic_store_n(cq_head, head, __ATOMIC_RELEASE);
	}
}

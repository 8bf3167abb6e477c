// An echo server of datagrams. "one" is a recvfrom and a sendto each, "many" is
// recvmmsg and sendmmsg, "gso" is recvmsg and sendmsg of as many segments as
// came at once (UDP_GRO, UDP_SEGMENT).
// udp_echo PORT one|many|gso
#define _GNU_SOURCE
#include "net.h"
#include <netinet/udp.h>
#include <stdint.h>
#include <sys/uio.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define BATCH 32
#define LARGEST 65536

static char buffers[BATCH][LARGEST];
static struct sockaddr_in from[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void one(int fd) {
	for (;;) {
		socklen_t size = sizeof from[0];
		ssize_t n = recvfrom(fd, buffers[0], LARGEST, 0, (struct sockaddr *)&from[0], &size);
		if (n >= 0)
			sendto(fd, buffers[0], n, 0, (struct sockaddr *)&from[0], size);
	}
}

static void many(int fd) {
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){buffers[i], LARGEST};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i]};
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			parts[i].iov_len = messages[i].msg_len;
		if (n > 0)
			sendmmsg(fd, messages, n, 0);
	}
}

static void gso(int fd) {
	int on = 1;
	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0)
		die("UDP_GRO");
	for (;;) {
		union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
		struct iovec part = {buffers[0], LARGEST};
		struct msghdr m = {.msg_name = &from[0], .msg_namelen = sizeof from[0], .msg_iov = &part, .msg_iovlen = 1};
		m.msg_control = control.space, m.msg_controllen = sizeof control.space;
		ssize_t n = recvmsg(fd, &m, 0);
		if (n < 0)
			continue;
		uint16_t segment = 0;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
				segment = *(int *)CMSG_DATA(c);
		part.iov_len = n;
		m.msg_control = NULL, m.msg_controllen = 0;
		if (segment && segment < n) {
			m.msg_control = control.space, m.msg_controllen = CMSG_SPACE(sizeof segment);
			struct cmsghdr *c = CMSG_FIRSTHDR(&m);
			c->cmsg_level = IPPROTO_UDP, c->cmsg_type = UDP_SEGMENT, c->cmsg_len = CMSG_LEN(sizeof segment);
			memcpy(CMSG_DATA(c), &segment, sizeof segment);
		}
		sendmsg(fd, &m, 0);
	}
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	struct sockaddr_in a = local(atoi(argv[1]));
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("bind");
	if (!strcmp(argv[2], "one"))
		one(fd);
	if (!strcmp(argv[2], "many"))
		many(fd);
	if (!strcmp(argv[2], "gso"))
		gso(fd);
	return 2;
}

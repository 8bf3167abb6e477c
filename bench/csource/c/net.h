// Listening sockets, alike for all servers here. WHERE is a port of 127.0.0.1,
// or the path of a unix socket.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what) {
	perror(what);
	exit(1);
}

static struct sockaddr_in local(int port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int listen_on(const char *where, int flags) {
	int fd, one = 1;
	if (where[0] == '/') {
		struct sockaddr_un u = {.sun_family = AF_UNIX};
		if (strlen(where) >= sizeof u.sun_path) {
			errno = ENAMETOOLONG;
			die(where);
		}
		strcpy(u.sun_path, where);
		fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)&u, sizeof u) < 0)
			die(where);
	} else {
		struct sockaddr_in a = local(atoi(where));
		fd = socket(AF_INET, SOCK_STREAM | flags, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
			die(where);
	}
	if (listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

static void no_delay(int fd) {
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // no error matters: a unix socket has none
}

// dial connects to HOST:PORT of this machine, waiting.
static int dial(const char *to) {
	const char *colon = strrchr(to, ':');
	struct sockaddr_in a = local(atoi(colon ? colon + 1 : to));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		close(fd);
		return -1;
	}
	no_delay(fd);
	return fd;
}

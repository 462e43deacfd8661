// Clients that ask for an event stream and then give their receive buffer up: what is in flight finds no room, and their
// window is shut with data outstanding. They read nothing more and live on.
//
//   shrunk-clients HOST PORT PATH BUFFER_BYTES ADDRESS...
//
// "ready" is printed when all have got the head of their response. The process ends when stdin does.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static struct sockaddr_in address(const char* host, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &a.sin_addr) != 1) fail(host);
  return a;
}

static int ask(const struct sockaddr_in* server, const char* path, const char* from) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in own = address(from, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&own, sizeof own) != 0) fail("bind");
  if (connect(fd, (const struct sockaddr*)server, sizeof *server) != 0) fail("connect");
  if (dprintf(fd, "GET %s HTTP/1.1\r\nhost: rig\r\n\r\n", path) < 0) fail("send");
  char head[1024];
  if (recv(fd, head, sizeof head, 0) <= 0) fail("recv");
  return fd;
}

int main(int argc, char** argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: shrunk-clients HOST PORT PATH BUFFER_BYTES ADDRESS...\n");
    return 2;
  }
  struct sockaddr_in server = address(argv[1], atoi(argv[2]));
  int buffer = atoi(argv[4]);
  for (int i = 5; i < argc; i++) {
    int fd = ask(&server, argv[3], argv[i]);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) != 0) fail("SO_RCVBUF");
  }
  printf("ready\n");
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}

// The load generator: N connections to one server on loopback, read as fast as they come and thrown away.
//
//   client PORT CONNECTIONS PATH   -> "open" once every connection has had its head; on end of input a line of JSON
//
// It ends by itself after ten minutes.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double seconds(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const int port = atoi(argv[1]);
  const int count = atoi(argv[2]);
  alarm(600);
  char request[512];
  snprintf(request, sizeof request,
           "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n", argv[3]);
  const int poll = epoll_create1(0);
  if (poll < 0) die("epoll_create1");
  char *seen = calloc(65536, 1);
  for (int i = 0; i < count; i++) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    if (write(fd, request, strlen(request)) < 0) die("write");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }
  struct epoll_event input = {.events = EPOLLIN | EPOLLHUP, .data.fd = 0};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, 0, &input) != 0) die("epoll_ctl stdin");
  static char buffer[65536];
  unsigned long long bytes = 0;
  int heads = 0, closed = 0;
  for (int running = 1; running;) {
    struct epoll_event events[512];
    const int ready = epoll_wait(poll, events, 512, -1);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      const int fd = events[i].data.fd;
      if (fd == 0) {
        running = 0;
        break;
      }
      const ssize_t got = read(fd, buffer, sizeof buffer);
      if (got <= 0) {
        closed++;
        epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        continue;
      }
      bytes += (unsigned long long)got;
      if (fd < 65536 && !seen[fd]) {
        seen[fd] = 1;
        if (++heads == count) {
          printf("open\n");
          fflush(stdout);
        }
      }
    }
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"bytes\":%llu,\"closed\":%d,\"user\":%f,\"system\":%f}\n", bytes, closed,
         seconds(usage.ru_utime), seconds(usage.ru_stime));
  return 0;
}

// The load generator: N connections to one server on loopback, read as fast as they come and thrown away.
//
//   client PORT CONNECTIONS PATH   -> "open" once every connection has had its head; on end of input a line of JSON
//
// It ends by itself after ten minutes.
#include <errno.h>

#include "connection.h"

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const int port = atoi(argv[1]);
  const int count = atoi(argv[2]);
  alarm(600);
  const char *request = request_for(argv[3]);
  const int poll = epoll_create1(0);
  if (poll < 0) die("epoll_create1");
  char *seen = calloc(65536, 1);
  for (int i = 0; i < count; i++) begin(poll, port, request);
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

// Connections that come and go: each asks, reads until it has had one event, and closes.
//
//   churn PORT TOTAL AT_ONCE PATH   -> a line of JSON once all of them have closed
//
// An event is known by the run of `x` in its data. The program ends by itself after two minutes.
#include <errno.h>

#include "connection.h"

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  const int port = atoi(argv[1]);
  const int total = atoi(argv[2]);
  const int at_once = atoi(argv[3]);
  alarm(120);
  const char *request = request_for(argv[4]);
  const int poll = epoll_create1(0);
  if (poll < 0) die("epoll_create1");
  int begun = 0, done = 0, failed = 0;
  for (; begun < at_once && begun < total; begun++) begin(poll, port, request);
  static char buffer[65536];
  while (done < total) {
    struct epoll_event events[512];
    const int ready = epoll_wait(poll, events, 512, -1);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      const int fd = events[i].data.fd;
      const ssize_t got = read(fd, buffer, sizeof buffer - 1);
      if (got > 0) {
        buffer[got] = 0;
        if (strstr(buffer, "xxxxxxxx") == NULL) continue;
      } else {
        failed++;
      }
      close(fd);
      done++;
      if (begun < total) {
        begin(poll, port, request);
        begun++;
      }
    }
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"failed\":%d,\"user\":%f,\"system\":%f}\n", failed, seconds(usage.ru_utime),
         seconds(usage.ru_stime));
  return failed == 0 ? 0 : 1;
}

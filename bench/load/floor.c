// The floor: what the kernel alone costs. A server that sends the same bytes to N sockets in a loop of send(2).
//
//   floor CONNECTIONS   -> the port; then for each line "ROUNDS BYTES GAP_US": a line of JSON with its CPU seconds
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static double seconds(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  const int count = atoi(argv[1]);
  alarm(600);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) return 1;
  if (listen(listener, 4096) != 0) return 1;
  socklen_t length = sizeof address;
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  int *fds = calloc((size_t)count, sizeof *fds);
  static char buffer[65536];
  const char *head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
  for (int i = 0; i < count; i++) {
    fds[i] = accept(listener, NULL, NULL);
    const int one = 1;
    setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (read(fds[i], buffer, sizeof buffer) < 0) return 1;
    if (send(fds[i], head, strlen(head), MSG_NOSIGNAL) < 0) return 1;
  }
  memset(buffer, 'x', sizeof buffer);
  int rounds, bytes, gap;
  while (scanf("%d %d %d", &rounds, &bytes, &gap) == 3) {
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < count; i++) send(fds[i], buffer, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
      usleep((useconds_t)gap);
    }
    getrusage(RUSAGE_SELF, &after);
    printf("{\"user\":%f,\"system\":%f}\n", seconds(after.ru_utime) - seconds(before.ru_utime),
           seconds(after.ru_stime) - seconds(before.ru_stime));
    fflush(stdout);
  }
  return 0;
}

// A path with delay, loss, reordering, a rate and a queue, between two network namespaces: two TUN devices, and this
// process between them. It does for kernels without netem what netem does for the others.
//
//   pipe NETNS_A NETNS_B DEVICE
//
// Each line of stdin shapes one direction and is answered with "ok":
//   FROM(0|1) DELAY_MS LOSS_PERCENT REORDER_PERCENT BITS_A_SECOND(0: no limit) QUEUE_BYTES
// "stat" is answered with what was carried, lost and dropped by the queue. The process ends when stdin does.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { kLargestPacket = 2048, kMostPackets = 65536, kReadsATurn = 64 };

struct packet {
  int64_t due;       // ns
  uint64_t number;   // packets that are due together leave in the order in which they came
  int to;
  ssize_t length;
  unsigned char bytes[kLargestPacket];
};

struct direction {
  double loss, reorder;  // shares, 0 to 1
  int64_t delay;         // ns
  double rate;           // bytes a second, 0 without a limit
  double queue;          // bytes
  int64_t busy_until;    // when the link will have sent all that queues before it
  unsigned long carried, lost, dropped;
};

static struct direction directions[2];
static struct packet* heap[kMostPackets];
static size_t heap_size;
static uint64_t next_number;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static int open_netns(const char* path) {
  int ns = open(path, O_RDONLY | O_CLOEXEC);
  if (ns < 0) fail(path);
  return ns;
}

static int open_device(int netns, const char* name) {
  if (setns(netns, CLONE_NEWNET) != 0) fail("setns");
  close(netns);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (ioctl(fd, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  return fd;
}

static int leaves_before(const struct packet* a, const struct packet* b) {
  return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void push(struct packet* packet) {
  size_t at = heap_size++;
  for (; at > 0; at = (at - 1) / 2) {
    struct packet* parent = heap[(at - 1) / 2];
    if (!leaves_before(packet, parent)) break;
    heap[at] = parent;
  }
  heap[at] = packet;
}

static struct packet* pop(void) {
  struct packet* first = heap[0];
  struct packet* last = heap[--heap_size];
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < heap_size; at = child) {
    if (child + 1 < heap_size && leaves_before(heap[child + 1], heap[child])) child++;
    if (!leaves_before(heap[child], last)) break;
    heap[at] = heap[child];
  }
  heap[at] = last;
  return first;
}

// When a packet that comes now arrives at the other end; -1 if it does not.
static int64_t arrival(struct direction* d, ssize_t length, int64_t at) {
  if (drand48() < d->loss) {
    d->lost++;
    return -1;
  }
  if (d->rate > 0) {
    if (d->busy_until < at) d->busy_until = at;
    double waiting = (double)(d->busy_until - at) / 1e9 * d->rate;
    if (waiting + (double)length > d->queue) {
      d->dropped++;
      return -1;
    }
    d->busy_until += (int64_t)((double)length / d->rate * 1e9);
    at = d->busy_until;
  }
  d->carried++;
  // As netem does it: a packet that is out of order overtakes those that are on their way.
  return drand48() < d->reorder ? at : at + d->delay;
}

static void take(const int devices[2], int from) {
  for (int i = 0; i < kReadsATurn && heap_size < kMostPackets; i++) {
    struct packet* packet = malloc(sizeof *packet);
    if (packet == NULL) fail("malloc");
    packet->length = read(devices[from], packet->bytes, sizeof packet->bytes);
    if (packet->length <= 0) {
      free(packet);
      return;
    }
    packet->due = arrival(&directions[from], packet->length, now());
    packet->to = 1 - from;
    packet->number = next_number++;
    if (packet->due < 0) {
      free(packet);
    } else {
      push(packet);
    }
  }
}

static void deliver(const int devices[2]) {
  while (heap_size > 0 && heap[0]->due <= now()) {
    struct packet* packet = pop();
    // A device that is down takes nothing: the packet is lost, as on a cable.
    if (write(devices[packet->to], packet->bytes, (size_t)packet->length) < 0) errno = 0;
    free(packet);
  }
}

static void obey(const char* line) {
  int from;
  double delay, loss, reorder, rate, queue;
  int read = sscanf(line, "%d %lf %lf %lf %lf %lf", &from, &delay, &loss, &reorder, &rate, &queue);
  if (read == 6 && (from == 0 || from == 1)) {
    struct direction* d = &directions[from];
    d->delay = (int64_t)(delay * 1e6);
    d->loss = loss / 100;
    d->reorder = reorder / 100;
    d->rate = rate / 8;
    d->queue = queue;
    d->busy_until = 0;
    printf("ok\n");
  } else if (strncmp(line, "stat", 4) == 0) {
    for (int i = 0; i < 2; i++) {
      const struct direction* d = &directions[i];
      printf("%lu %lu %lu%c", d->carried, d->lost, d->dropped, i == 0 ? ' ' : '\n');
    }
  } else {
    printf("not understood: %s", line);
  }
}

// Whole lines only: a read may end in the middle of one.
static void listen_to_stdin(void) {
  static char text[4096];
  static size_t length;
  ssize_t n = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
  if (n <= 0) exit(0);
  length += (size_t)n;
  text[length] = '\0';
  char* line = text;
  for (char* end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    obey(line);
  }
  length = strlen(line);
  memmove(text, line, length + 1);
  fflush(stdout);
}

static void wait_for_work(struct pollfd* polled, nfds_t count) {
  struct timespec timeout = {0};
  if (heap_size > 0) {
    int64_t left = heap[0]->due - now();
    if (left < 0) left = 0;
    timeout.tv_sec = left / INT64_C(1000000000);
    timeout.tv_nsec = left % INT64_C(1000000000);
  }
  if (ppoll(polled, count, heap_size > 0 ? &timeout : NULL, NULL) < 0 && errno != EINTR) fail("ppoll");
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: pipe NETNS_A NETNS_B DEVICE\n");
    return 2;
  }
  int a = open_netns(argv[1]);
  int b = open_netns(argv[2]);
  int devices[2] = {open_device(a, argv[3]), 0};
  devices[1] = open_device(b, argv[3]);
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    struct pollfd polled[] = {
        {devices[0], POLLIN, 0}, {devices[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    wait_for_work(polled, 3);
    for (int i = 0; i < 2; i++) {
      if (polled[i].revents & POLLIN) take(devices, i);
    }
    deliver(devices);
    if (polled[2].revents != 0) listen_to_stdin();
  }
}

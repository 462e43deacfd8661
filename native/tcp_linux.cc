// Linux. Sources: tcp(7), socket(7), unix(7), and include/uapi/linux/tcp.h. tcp_info is an ABI: the
// kernel only appends fields, so the returned length says which fields it filled in.
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tcp.h"

namespace tcp_sse {
namespace {

// Newer than the headers that may be used for compilation.
constexpr int kTcpRtoMaxMs = 44;  // Linux 6.15

struct Option {
  const char* name;
  int level;
  int number;
};

constexpr Option kOptions[] = {
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
    {"SO_LINGER", SOL_SOCKET, SO_LINGER},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
    {"TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {"TCP_RTO_MAX_MS", IPPROTO_TCP, kTcpRtoMaxMs},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT},
};

// One field of tcp_info: its offset, its width (1, 4 or 8 bytes, unsigned), and its divisor. All
// times in a row are in milliseconds.
struct Field {
  const char* name;
  std::uint16_t offset;
  std::uint16_t width;
  std::uint16_t per = 1;
};

// Not part of tcp_info: 0 or the errno of TCP_INFO, and SIOCOUTQ, the bytes not yet acknowledged,
// sent or not.
enum Column : std::size_t { kErrno, kOutq, kFirstTcpInfo };
constexpr const char* kOtherColumns[] = {"errno", "outq"};
static_assert(sizeof kOtherColumns / sizeof kOtherColumns[0] == kFirstTcpInfo);

constexpr std::uint16_t kMicroseconds = 1000;

// The order and the names are those of src/tcp/record.ts; test/native/record.test.ts compares the
// two. The comments name the first kernel version with the field. Offsets are written out, because
// the header of a C library may be older than the kernel.
constexpr Field kTcpInfo[] = {
    {"state", 0, 1},                             // 2.4
    {"congestionState", 1, 1},                   // 2.4
    {"retransmits", 2, 1},                       // 2.4
    {"probes", 3, 1},                            // 2.4
    {"backoff", 4, 1},                           // 2.4
    {"rto", 8, 4, kMicroseconds},                // 2.4
    {"unackedSegments", 24, 4},                  // 2.4
    {"lost", 32, 4},                             // 2.4, segments
    {"lastDataSent", 44, 4},                     // 2.4, milliseconds ago
    {"lastDataReceived", 52, 4},                 // 2.4, milliseconds ago
    {"lastAckReceived", 56, 4},                  // 2.4, milliseconds ago
    {"rtt", 68, 4, kMicroseconds},               // 2.4
    {"rttVariation", 72, 4, kMicroseconds},      // 2.4
    {"congestionWindow", 80, 4},                 // 2.4, segments
    {"totalRetransmits", 100, 4},                // 2.6, segments
    {"bytesAcked", 120, 8},                      // 4.1
    {"bytesReceived", 128, 8},                   // 4.1
    {"unsent", 144, 4},                          // 4.6, bytes; before that SIOCOUTQNSD
    {"minRtt", 148, 4, kMicroseconds},           // 4.6
    {"dataSegmentsSent", 156, 4},                // 4.6, retransmitted ones too
    {"deliveryRate", 160, 8},                    // 4.9, bytes a second
    {"windowLimited", 176, 8, kMicroseconds},    // 4.10
    {"reportedDuplicates", 216, 4},              // 4.19, segments
    {"sendWindow", 228, 4},                      // 5.4, bytes
};
constexpr std::size_t kTcpInfoCount = sizeof kTcpInfo / sizeof kTcpInfo[0];

// Larger than any tcp_info so far (280 bytes in Linux 6.18).
constexpr std::size_t kTcpInfoSpace = 512;

constexpr bool IsReadable(const Field& field) {
  return (field.width == 1 || field.width == 4 || field.width == 8) &&
         static_cast<std::size_t>(field.offset) + field.width <= kTcpInfoSpace;
}

constexpr bool AreReadable() {
  for (const Field& field : kTcpInfo) {
    if (!IsReadable(field)) return false;
  }
  return true;
}
static_assert(AreReadable());

constexpr bool IsSame(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

// The column of a tcp_info field.
constexpr std::size_t ColumnOf(const char* name) {
  std::size_t i = 0;
  while (!IsSame(kTcpInfo[i].name, name)) i++;
  return kFirstTcpInfo + i;
}
constexpr std::size_t kUnsent = ColumnOf("unsent");

// Compares the offsets with the fields that the C library's header has.
static_assert(offsetof(tcp_info, tcpi_rto) == 8 && offsetof(tcp_info, tcpi_unacked) == 24 &&
              offsetof(tcp_info, tcpi_last_ack_recv) == 56 && offsetof(tcp_info, tcpi_rtt) == 68 &&
              offsetof(tcp_info, tcpi_total_retrans) == 100);

double ReadField(const unsigned char* info, std::size_t length, const Field& field) {
  if (static_cast<std::size_t>(field.offset) + field.width > length) return NAN;
  // All targets of this build are little-endian.
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  std::uint64_t value = 0;
  std::memcpy(&value, info + field.offset, field.width);
  return static_cast<double>(value) / field.per;
}

double AskQueue(int fd, unsigned long request) {
  int bytes = 0;
  return ioctl(fd, request, &bytes) == 0 ? bytes : NAN;
}

// Pieces sent with one system call; far below IOV_MAX.
constexpr std::size_t kVectors = 64;

// Fills `vectors` from piece `*next` on, joins pieces that are adjacent in the slab, and advances
// `*next`. Returns the number of vectors.
std::size_t Gather(const unsigned char* slab, const Piece* pieces, std::int32_t* next,
                   iovec* vectors, std::size_t* bytes) {
  std::size_t used = 0;
  while (*next >= 0) {
    const Piece& piece = pieces[*next];
    void* start = const_cast<unsigned char*>(slab + piece.offset);
    iovec* last = used > 0 ? &vectors[used - 1] : nullptr;
    if (last != nullptr && static_cast<char*>(last->iov_base) + last->iov_len == start) {
      last->iov_len += piece.length;
    } else if (used == kVectors) {
      break;
    } else {
      vectors[used++] = {start, static_cast<std::size_t>(piece.length)};
    }
    *bytes += piece.length;
    *next = piece.next;
  }
  return used;
}

ssize_t SendVectors(int fd, iovec* vectors, std::size_t count) {
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (count == 1) return send(fd, vectors[0].iov_base, vectors[0].iov_len, kFlags);
  msghdr message = {};
  message.msg_iov = vectors;
  message.msg_iovlen = count;
  return sendmsg(fd, &message, kFlags);
}

// Returns whether everything was sent.
bool SendRow(const unsigned char* slab, const Piece* pieces, Row* row) {
  std::int32_t next = row->first;
  row->result = 0;
  while (next >= 0) {
    iovec vectors[kVectors];
    std::size_t bytes = 0;
    const std::size_t count = Gather(slab, pieces, &next, vectors, &bytes);
    const ssize_t sent = SendVectors(row->fd, vectors, count);
    if (sent < 0) {
      if (row->result == 0) row->result = -errno;
      return false;
    }
    // Bounded by the slab (1 MiB): no part of it is in two pieces of a row
    // (src/transport/fast/batch.ts).
    row->result += static_cast<std::int32_t>(sent);
    if (static_cast<std::size_t>(sent) < bytes) return false;
  }
  return true;
}

int GetNumber(int fd, const Option& option) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, option.level, option.number, &value, &length) != 0) return -errno;
  return value;
}

}  // namespace

std::size_t OptionCount() { return sizeof kOptions / sizeof kOptions[0]; }

const char* OptionName(std::size_t option) { return kOptions[option].name; }

int SetOption(int fd, std::size_t index, int value) {
  const Option& option = kOptions[index];
  struct linger linger = {1, value};
  const void* bytes = &value;
  socklen_t length = sizeof value;
  if (option.level == SOL_SOCKET && option.number == SO_LINGER) {
    bytes = &linger;
    length = sizeof linger;
  }
  return setsockopt(fd, option.level, option.number, bytes, length) == 0 ? 0 : -errno;
}

int GetOption(int fd, std::size_t index) {
  const Option& option = kOptions[index];
  if (option.level == SOL_SOCKET && option.number == SO_LINGER) {
    struct linger linger = {0, 0};
    socklen_t length = sizeof linger;
    if (getsockopt(fd, option.level, option.number, &linger, &length) != 0) return -errno;
    return linger.l_onoff ? linger.l_linger : -ENODATA;
  }
  return GetNumber(fd, option);
}

void SetOptions(int fd, Setting* settings, std::size_t count, bool save) {
  for (std::size_t i = 0; i < count; i++) {
    Setting& setting = settings[i];
    const auto option = static_cast<std::size_t>(setting.option);
    setting.outcome = save ? GetOption(fd, option) : 0;
    if (setting.outcome < 0 || (save && setting.outcome == setting.value)) continue;
    const int result = SetOption(fd, option, setting.value);
    if (result != 0) setting.outcome = result;
  }
}

int ProbeOption(std::size_t index) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int result = GetOption(fd, index);
  close(fd);
  return result >= 0 || result == -ENODATA ? 0 : result;
}

std::size_t FieldCount() { return kFirstTcpInfo + kTcpInfoCount; }

const char* FieldName(std::size_t field) {
  return field < kFirstTcpInfo ? kOtherColumns[field] : kTcpInfo[field - kFirstTcpInfo].name;
}

void WriteRow(double outq, int error, const unsigned char* info, std::size_t length, double* row) {
  row[kErrno] = error;
  row[kOutq] = outq;
  for (std::size_t i = 0; i < kTcpInfoCount; i++) {
    row[kFirstTcpInfo + i] = ReadField(info, length, kTcpInfo[i]);
  }
}

void Inspect(int fd, double* row) {
  // Read the queue before the state. If the connection ends in between, the state shows that the
  // queue is meaningless.
  const double outq = AskQueue(fd, SIOCOUTQ);
  unsigned char info[kTcpInfoSpace];
  socklen_t length = sizeof info;
  int error = 0;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length) != 0) {
    error = errno;
    length = 0;
  }
  WriteRow(outq, error, info, length, row);
  if (std::isnan(row[kUnsent])) row[kUnsent] = AskQueue(fd, SIOCOUTQNSD);
}

std::size_t SendMany(const unsigned char* slab, const Piece* pieces, Row* rows, std::size_t count) {
  std::size_t incomplete = 0;
  for (std::size_t i = 0; i < count; i++) {
    if (!SendRow(slab, pieces, &rows[i])) incomplete++;
  }
  return incomplete;
}

}  // namespace tcp_sse

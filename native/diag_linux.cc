// Linux. Sources: sock_diag(7), netlink(7), net/ipv4/inet_diag.c, include/uapi/linux/inet_diag.h.
//
// Each function opens its own netlink socket and closes it again. There is no state, so any thread
// may call.
#include "diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tcp.h"

namespace tcp_sse {
namespace {

// Newer than the headers that may be used for compilation.
constexpr std::uint16_t kSockDestroy = 21;  // Linux 4.5

constexpr const char* kIdColumns[] = {
    "family",      "local_port",  "remote_port", "local_0",  "local_1",   "local_2",  "local_3",
    "remote_0",    "remote_1",    "remote_2",    "remote_3", "interface", "cookie_0", "cookie_1",
};
static_assert(sizeof kIdColumns / sizeof kIdColumns[0] == kSocketIdWords);

// `rqueue`: bytes that the process has not read, or the connections that a listening socket has not
// accepted. `timer`: 0 none, 1 retransmit, 2 keepalive, 4 window probe; it fires in `expires`
// milliseconds. `inode` is 0 if no descriptor is open.
enum Extra : std::size_t { kInode, kUid, kRqueue, kTimer, kExpires, kExtraCount };
constexpr const char* kExtraColumns[] = {"inode", "uid", "rqueue", "timer", "expires"};
static_assert(sizeof kExtraColumns / sizeof kExtraColumns[0] == kExtraCount);

// A dump arrives in parts of at most 32 KiB (netlink_dump in the kernel).
constexpr std::size_t kBufferSize = 64 * 1024;
constexpr std::size_t kMaxPorts = 256;
// After this many interrupted dumps, the rows of the last one are used.
constexpr int kAttempts = 3;
// The kernel answers during the call. Without a limit, a lost netlink message (ENOBUFS) would block
// forever.
constexpr timeval kPatience = {2, 0};
constexpr unsigned char kLoopback[] = {127, 0, 0, 1};

class Netlink {
 public:
  Netlink() : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)) {
    if (fd_ < 0) {
      error_ = errno;
      return;
    }
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    buffer_ = static_cast<unsigned char*>(std::malloc(kBufferSize));
    if (buffer_ == nullptr) error_ = ENOMEM;
  }
  ~Netlink() {
    std::free(buffer_);
    if (fd_ >= 0) close(fd_);
  }
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  int error() const { return error_; }
  const unsigned char* buffer() const { return buffer_; }

  // 0 or errno.
  int Send(const void* message, std::size_t length) {
    for (;;) {
      if (send(fd_, message, length, 0) >= 0) return 0;
      if (errno != EINTR) return errno;
    }
  }

  // Returns the bytes of the next datagram, or -errno.
  ssize_t Receive() {
    for (;;) {
      const ssize_t length = recv(fd_, buffer_, kBufferSize, MSG_TRUNC);
      if (length >= 0) {
        return static_cast<std::size_t>(length) <= kBufferSize ? length : -EMSGSIZE;
      }
      if (errno != EINTR) return -errno;
    }
  }

 private:
  int fd_;
  int error_ = 0;
  unsigned char* buffer_ = nullptr;
};

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

Request MakeRequest(std::uint16_t type, std::uint16_t flags, int family) {
  Request request;
  std::memset(&request, 0, sizeof request);
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | flags;
  request.body.sdiag_family = static_cast<std::uint8_t>(family);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_ext = 1 << (INET_DIAG_INFO - 1);
  request.body.idiag_states = 0xffffffff;
  return request;
}

std::uint16_t Swapped(std::uint32_t port) {
  return static_cast<std::uint16_t>((port & 0xff) << 8 | (port >> 8 & 0xff));
}

// All targets of this build are little-endian.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

Request MakeRequestFor(std::uint16_t type, std::uint16_t flags, const SocketId& id) {
  Request request = MakeRequest(type, flags, static_cast<int>(id.family));
  inet_diag_sockid& to = request.body.id;
  to.idiag_sport = Swapped(id.local_port);
  to.idiag_dport = Swapped(id.remote_port);
  std::memcpy(to.idiag_src, id.local, sizeof to.idiag_src);
  std::memcpy(to.idiag_dst, id.remote, sizeof to.idiag_dst);
  to.idiag_if = id.interface;
  std::memcpy(to.idiag_cookie, id.cookie, sizeof to.idiag_cookie);
  return request;
}

// The filter program of the kernel (inet_diag_bc_run): "port >= P and port <= P, or ...". An
// operation is followed by its operand. `yes` and `no` are distances from its start. The end of the
// program accepts; 4 bytes beyond it reject. INET_DIAG_BC_S_EQ would be shorter, but needs a newer
// kernel than everything else here.
std::size_t WriteFilter(const std::int32_t* ports, std::size_t count, inet_diag_bc_op* program) {
  constexpr std::size_t kOpSize = sizeof(inet_diag_bc_op);
  // Two comparisons of two words each, and a jump. The last port needs no jump.
  constexpr std::size_t kPerPort = 5;
  const std::size_t total = count * kPerPort - 1;
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; i++) {
    const auto port = static_cast<std::uint16_t>(ports[i]);
    program[at++] = {INET_DIAG_BC_S_GE, 2 * kOpSize, 5 * kOpSize};
    program[at++] = {0, 0, port};
    program[at++] = {INET_DIAG_BC_S_LE, 2 * kOpSize, 3 * kOpSize};
    program[at++] = {0, 0, port};
    if (i + 1 == count) break;
    program[at] = {INET_DIAG_BC_JMP, kOpSize, static_cast<std::uint16_t>((total - at) * kOpSize)};
    at++;
  }
  return total * kOpSize;
}

void WriteDiagRow(const inet_diag_msg& message, const unsigned char* attributes, std::size_t length,
                  double* row) {
  const unsigned char* info = nullptr;
  std::size_t info_length = 0;
  while (length >= sizeof(nlattr)) {
    nlattr attribute;
    std::memcpy(&attribute, attributes, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > length) break;
    if ((attribute.nla_type & NLA_TYPE_MASK) == INET_DIAG_INFO) {
      info = attributes + sizeof attribute;
      info_length = attribute.nla_len - sizeof attribute;
    }
    const std::size_t step = NLA_ALIGN(attribute.nla_len);
    if (step >= length) break;
    attributes += step;
    length -= step;
  }
  WriteRow(message.idiag_wqueue, 0, info, info_length, row);
  double* at = row + FieldCount();
  const inet_diag_sockid& id = message.id;
  *at++ = message.idiag_family;
  *at++ = Swapped(id.idiag_sport);
  *at++ = Swapped(id.idiag_dport);
  for (const std::uint32_t word : id.idiag_src) *at++ = word;
  for (const std::uint32_t word : id.idiag_dst) *at++ = word;
  *at++ = id.idiag_if;
  for (const std::uint32_t word : id.idiag_cookie) *at++ = word;
  at[kInode] = message.idiag_inode;
  at[kUid] = message.idiag_uid;
  at[kRqueue] = message.idiag_rqueue;
  at[kTimer] = message.idiag_timer;
  at[kExpires] = message.idiag_expires;
}

struct Answer {
  bool done = false;
  bool interrupted = false;
  int error = 0;
  std::size_t count = 0;
};

// Reads the messages of one datagram.
void ReadDatagram(const unsigned char* at, std::size_t length, double* rows, std::size_t capacity,
                  Answer* answer) {
  while (length >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length) {
      answer->error = EBADMSG;
      return;
    }
    const unsigned char* payload = at + sizeof header;
    const std::size_t size = header.nlmsg_len - sizeof header;
    if (header.nlmsg_flags & NLM_F_DUMP_INTR) answer->interrupted = true;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      std::int32_t result = 0;
      if (size >= sizeof result) std::memcpy(&result, payload, sizeof result);
      answer->done = true;
      if (result < 0) answer->error = -result;
      return;
    }
    if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY && size >= sizeof(inet_diag_msg)) {
      inet_diag_msg message;
      std::memcpy(&message, payload, sizeof message);
      if (answer->count < capacity) {
        WriteDiagRow(message, payload + sizeof message, size - sizeof message,
                     rows + answer->count * DiagFieldCount());
      }
      answer->count++;
    }
    const std::size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= length) return;
    at += step;
    length -= step;
  }
}

// Runs one dump to its end.
Answer Dump(const unsigned char* request, std::size_t length, double* rows, std::size_t capacity) {
  Answer answer;
  // Each attempt has its own socket, so the remaining messages of an earlier attempt are discarded
  // with theirs.
  Netlink netlink;
  answer.error = netlink.error();
  if (answer.error == 0) answer.error = netlink.Send(request, length);
  while (answer.error == 0 && !answer.done) {
    const ssize_t received = netlink.Receive();
    if (received < 0) {
      answer.error = static_cast<int>(-received);
    } else {
      ReadDatagram(netlink.buffer(), static_cast<std::size_t>(received), rows, capacity, &answer);
    }
  }
  return answer;
}

int Find(Netlink* netlink, const SocketId& id, double* row) {
  const Request request = MakeRequestFor(SOCK_DIAG_BY_FAMILY, 0, id);
  const int failed = netlink->Send(&request, sizeof request);
  if (failed != 0) return failed;
  const ssize_t received = netlink->Receive();
  if (received < 0) return static_cast<int>(-received);
  for (std::size_t i = 0; i < DiagFieldCount(); i++) row[i] = NAN;
  Answer answer;
  ReadDatagram(netlink->buffer(), static_cast<std::size_t>(received), row, 1, &answer);
  if (answer.error != 0) WriteRow(NAN, answer.error, nullptr, 0, row);
  return 0;
}

}  // namespace

std::size_t DiagFieldCount() { return FieldCount() + kSocketIdWords + kExtraCount; }

const char* DiagFieldName(std::size_t field) {
  if (field < FieldCount()) return FieldName(field);
  field -= FieldCount();
  return field < kSocketIdWords ? kIdColumns[field] : kExtraColumns[field - kSocketIdWords];
}

int DumpSockets(int family, std::uint32_t states, const std::int32_t* ports, std::size_t port_count,
                double* rows, std::size_t capacity) {
  if (port_count == 0) return 0;
  if (port_count > kMaxPorts) return -E2BIG;
  struct {
    Request request;
    nlattr attribute;
    inet_diag_bc_op program[kMaxPorts * 5];
  } message;
  message.request = MakeRequest(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family);
  message.request.body.idiag_states = states;
  const std::size_t filter = WriteFilter(ports, port_count, message.program);
  message.attribute.nla_type = INET_DIAG_REQ_BYTECODE;
  message.attribute.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + filter);
  const std::size_t length = sizeof(Request) + sizeof(nlattr) + filter;
  message.request.header.nlmsg_len = static_cast<std::uint32_t>(length);
  Answer answer;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    answer = Dump(reinterpret_cast<const unsigned char*>(&message), length, rows, capacity);
    if (!answer.interrupted && answer.error != ENOBUFS) break;
  }
  return answer.error != 0 ? -answer.error : static_cast<int>(answer.count);
}

int FindSockets(const SocketId* ids, std::size_t count, double* rows) {
  Netlink netlink;
  if (netlink.error() != 0) return -netlink.error();
  for (std::size_t i = 0; i < count; i++) {
    const int failed = Find(&netlink, ids[i], rows + i * DiagFieldCount());
    if (failed != 0) return -failed;
  }
  return 0;
}

int DestroySocket(const SocketId& id) {
  Netlink netlink;
  if (netlink.error() != 0) return -netlink.error();
  const Request request = MakeRequestFor(kSockDestroy, NLM_F_ACK, id);
  const int failed = netlink.Send(&request, sizeof request);
  if (failed != 0) return -failed;
  const ssize_t received = netlink.Receive();
  if (received < 0) return static_cast<int>(received);
  Answer answer;
  ReadDatagram(netlink.buffer(), static_cast<std::size_t>(received), nullptr, 0, &answer);
  return -answer.error;
}

int ProbeDestroy() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  sockaddr_in address;
  std::memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  std::memcpy(&address.sin_addr.s_addr, kLoopback, sizeof kLoopback);
  SocketId id;
  std::memset(&id, 0, sizeof id);
  socklen_t length = sizeof address;
  socklen_t cookie_length = sizeof id.cookie;
  int result = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 0) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      getsockopt(fd, SOL_SOCKET, kSoCookie, id.cookie, &cookie_length) != 0) {
    result = -errno;
  } else {
    id.family = AF_INET;
    id.local_port = Swapped(address.sin_port);
    id.local[0] = address.sin_addr.s_addr;
    result = DestroySocket(id);
  }
  close(fd);
  return result;
}

}  // namespace tcp_sse

// Linux. Sources: pidfd_open(2), pidfd_getfd(2).
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag.h"
#include "tcp.h"

namespace tcp_sse {
namespace {

// These are newer than the headers that may be used for compilation. The numbers are the same on
// all architectures.
constexpr long kPidfdOpen = 434;   // Linux 5.3
constexpr long kPidfdGetfd = 438;  // Linux 5.6

int SetOptionsIfSame(int fd, const std::uint32_t cookie[2], Setting* settings, std::size_t count) {
  std::uint32_t found[2] = {0, 0};
  socklen_t length = sizeof found;
  if (getsockopt(fd, SOL_SOCKET, kSoCookie, found, &length) != 0) return -errno;
  if (found[0] != cookie[0] || found[1] != cookie[1]) return -ESTALE;
  // tcp_keepalive_timer: one unanswered probe is then enough to end an idle connection.
  unsigned int user_timeout = 0;
  length = sizeof user_timeout;
  getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, &length);
  if (user_timeout != 0) return -EBUSY;
  SetOptions(fd, settings, count, false);
  for (std::size_t i = 0; i < count; i++) {
    const int result = settings[i].outcome;
    if (result != 0 && result != -ENOPROTOOPT && result != -EOPNOTSUPP) return result;
  }
  return 0;
}

}  // namespace

int SetOptionsOf(int pid, int fd, const std::uint32_t cookie[2], Setting* settings,
                 std::size_t count) {
  const int process = static_cast<int>(syscall(kPidfdOpen, pid, 0));
  if (process < 0) return -errno;
  const int duplicate = static_cast<int>(syscall(kPidfdGetfd, process, fd, 0));
  const int error = errno;
  close(process);
  if (duplicate < 0) return -error;
  const int result = SetOptionsIfSame(duplicate, cookie, settings, count);
  close(duplicate);
  return result;
}

}  // namespace tcp_sse

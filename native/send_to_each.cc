// Sends one buffer to many sockets. Sources: send(2).
#include <errno.h>
#include <sys/socket.h>

#include "tcp.h"

namespace tcp_sse {

std::size_t SendToEach(const std::int32_t* fds, std::size_t from, std::size_t to,
                 const unsigned char* bytes, std::size_t length, std::int32_t* shorts) {
  std::size_t whole = 0;
  std::int32_t short_count = 0;
  for (std::size_t row = from; row < to; row++) {
    if (fds[row] < 0) continue;
    const ssize_t sent = send(fds[row], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 && static_cast<std::size_t>(sent) == length) {
      whole++;
      continue;
    }
    shorts[1 + 2 * short_count] = static_cast<std::int32_t>(row);
    shorts[2 + 2 * short_count] = static_cast<std::int32_t>(sent < 0 ? -errno : sent);
    short_count++;
  }
  shorts[0] = short_count;
  return whole;
}

}  // namespace tcp_sse

// TCP sockets of the whole network namespace, of any process. Functions take numbers, return `0 |
// -errno` and keep no state. sock_diag(7).
#ifndef TCP_SSE_DIAG_H_
#define TCP_SSE_DIAG_H_

#include <cstddef>
#include <cstdint>

#include "tcp.h"

namespace tcp_sse {

// The kernel's id of a socket. Words of addresses are in network order, as in the kernel; an IPv4
// address is in the first word. The kernel never reuses a cookie, so a later socket with the same
// addresses has another one.
struct SocketId {
  std::uint32_t family;
  std::uint32_t local_port;
  std::uint32_t remote_port;
  std::uint32_t local[4];
  std::uint32_t remote[4];
  std::uint32_t interface;
  std::uint32_t cookie[2];
};
static_assert(sizeof(SocketId) == 14 * sizeof(std::uint32_t));
constexpr int kSoCookie = 57;  // SO_COOKIE, Linux 4.6
constexpr std::size_t kSocketIdWords = sizeof(SocketId) / sizeof(std::uint32_t);

// The columns of a row: those of `Inspect`, then the words of the socket's id, then what sock_diag
// adds.
std::size_t DiagFieldCount();
const char* DiagFieldName(std::size_t field);

// Writes a row for each socket of a family (AF_INET or AF_INET6, which includes mapped addresses)
// that is in one of the states (a mask, bit N for state N) and has one of the local ports. The
// kernel filters. Rows beyond `capacity` are counted but not written. Returns the number of
// sockets, or -errno. A socket that is opened or closed during the dump may be missing or appear
// twice.
int DumpSockets(int family, std::uint32_t states, const std::int32_t* ports, std::size_t port_count,
                double* rows, std::size_t capacity);

// Writes one row for each id. The column `errno` is ENOENT if the socket no longer exists. Returns
// 0, or -errno if the kernel cannot be asked.
int FindSockets(const SocketId* ids, std::size_t count, double* rows);

// Ends a connection: the peer gets RST, the process that holds the socket gets ECONNABORTED.
// Returns -ENOENT if the socket no longer exists, -EPERM without CAP_NET_ADMIN, and -EOPNOTSUPP if
// the kernel was built without CONFIG_INET_DIAG_DESTROY.
int DestroySocket(const SocketId& id);

// Returns 0 if `DestroySocket` works on this system, else its -errno. Asks with a temporary
// listening socket on loopback.
int ProbeDestroy();

// Sets options on a socket of another process. Duplicates its descriptor (pidfd_getfd(2)) and
// closes the duplicate. Returns 0 or -errno: -EPERM without the right to trace the process, -ENOSYS
// before Linux 5.6, -ESTALE if the descriptor is not the socket with this cookie. Skips options
// that this kernel does not have. Writes the `outcome` of each setting.
int SetOptionsOf(int pid, int fd, const std::uint32_t cookie[2], Setting* settings,
                 std::size_t count);

}  // namespace tcp_sse

#endif  // TCP_SSE_DIAG_H_

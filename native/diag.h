// TCP sockets of the whole network namespace, whoever holds them: numbers in, `0 | -errno` out, no state. sock_diag(7).
#ifndef TCP_SSE_DIAG_H_
#define TCP_SSE_DIAG_H_

#include <cstddef>
#include <cstdint>

#include "tcp.h"

namespace tcp_sse {

// Which socket is meant: what the kernel calls its id. Words of addresses are in network order, as the kernel has them; an
// IPv4 address is in the first. The cookie is never given twice: another socket with the same addresses has another one.
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

// The columns of a row: those of `Inspect`, then the words of the socket's id, then what sock_diag adds.
std::size_t DiagFieldCount();
const char* DiagFieldName(std::size_t field);

// Writes a row for each socket of a family (AF_INET or AF_INET6, the mapped ones among the latter) that is in one of the
// states (a mask, bit N for state N) and whose local port is listed; the kernel filters. Rows beyond `capacity` are counted
// and not written. Returns how many sockets there are, or -errno. Sockets that come and go meanwhile may be missing or there twice.
int DumpSockets(int family, std::uint32_t states, const std::int32_t* ports, std::size_t port_count,
                double* rows, std::size_t capacity);

// Writes one row for each id; the column `errno` is ENOENT where there is no such socket any more. 0, or -errno
// where the kernel cannot be asked.
int FindSockets(const SocketId* ids, std::size_t count, double* rows);

// Ends a connection: RST to the peer, ECONNABORTED for whoever holds it. ENOENT where there is no such socket any more,
// EPERM without CAP_NET_ADMIN, EOPNOTSUPP in a kernel without CONFIG_INET_DIAG_DESTROY.
int DestroySocket(const SocketId& id);

// 0 where `DestroySocket` works here, else its -errno. Asked of a listening socket on loopback that is made for the question.
int ProbeDestroy();

// Sets options on a socket of another process: its descriptor is duplicated (pidfd_getfd(2)) and closed again. 0, or -errno:
// EPERM without the right to trace the process, ENOSYS before Linux 5.6, ESTALE where the descriptor is not the socket that
// the cookie says. Options that this kernel does not have are passed over. Each setting's `outcome` is written.
int SetOptionsOf(int pid, int fd, const std::uint32_t cookie[2], Setting* settings,
                 std::size_t count);

}  // namespace tcp_sse

#endif  // TCP_SSE_DIAG_H_

// The kernel as this library needs it: numbers in, `0 | -errno` out.
//
// Nothing here knows JavaScript, keeps state between calls, starts a thread or calls back. Policy
// (which value, when, on which socket) lives in TypeScript; so does every validation.
#ifndef TCP_SSE_TCP_H_
#define TCP_SSE_TCP_H_

#include <cstddef>
#include <cstdint>

namespace tcp_sse {

// Raised whenever something below changes its meaning. The TypeScript side refuses any other number.
constexpr int kAbi = 5;

// The options that may be set or read, by their kernel names. Callers pass the index.
std::size_t OptionCount();
const char* OptionName(std::size_t option);

// 0, or -errno. For SO_LINGER the value is the time in seconds.
int SetOption(int fd, std::size_t option, int value);

// The value (never negative for the options listed), or -errno.
int GetOption(int fd, std::size_t option);

// 0 where this kernel knows the option, else -errno. Asked of a socket that is made for the
// question and closed again, never of anyone's connection.
int ProbeOption(std::size_t option);

// The columns that `Inspect` writes, by name. Callers read them by index.
std::size_t FieldCount();
const char* FieldName(std::size_t field);

// Bytes that the peer's kernel has not acknowledged, sent or not; those of them that are not sent yet. NaN: not told.
struct Queues {
  double outq;
  double unsent;
};

// Writes one row of `FieldCount()` numbers: `length` bytes of a tcp_info, and what comes with it from elsewhere.
void WriteRow(const Queues& queues, int error, const unsigned char* info, std::size_t length,
              double* row);

// Writes one row of `FieldCount()` numbers about a socket. What this kernel or this kind of socket
// does not tell is NaN, never 0. Never reads SO_ERROR: that would take the error away from Node.
void Inspect(int fd, double* row);

// A part of the slab. `next` is the index of the piece that follows in the same row, always a larger one; -1: none.
struct Piece {
  std::int32_t offset;
  std::int32_t length;
  std::int32_t next;
};

// What one socket is to be sent: the pieces from `first` on. `result` is written: bytes sent, or -errno if not even one.
struct Row {
  std::int32_t fd;
  std::int32_t first;
  std::int32_t result;
};

// Sends each row with one system call, or a few if it has many pieces. Never blocks, never raises SIGPIPE. Returns how
// many rows were not sent completely.
std::size_t SendMany(const unsigned char* slab, const Piece* pieces, Row* rows, std::size_t count);

// Sends the same bytes to each socket of `fds[from]` to `fds[to - 1]`; a negative one is left out. Never blocks, never raises
// SIGPIPE. Returns how many took everything. The others are listed in `shorts`: how many they are, then two numbers each, the
// row and the bytes that it took or -errno. It has room for 1 + 2 * (to - from) numbers.
std::size_t Cast(const std::int32_t* fds, std::size_t from, std::size_t to,
                 const unsigned char* bytes, std::size_t length, std::int32_t* shorts);

}  // namespace tcp_sse

#endif  // TCP_SSE_TCP_H_

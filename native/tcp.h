// The kernel as this library needs it: numbers in, `0 | -errno` out.
//
// Nothing here knows JavaScript, keeps state between calls, starts a thread or calls back. Policy
// (which value, when, on which socket) lives in TypeScript, and so does the validation of what users pass. addon.cc checks
// each index and length again before it gets here.
#ifndef TCP_SSE_TCP_H_
#define TCP_SSE_TCP_H_

#include <cstddef>
#include <cstdint>

namespace tcp_sse {

// Raised whenever something below changes its meaning. The TypeScript side refuses any other number.
constexpr int kAbi = 6;

// The options that may be set or read, by their kernel names. Callers pass the index.
std::size_t OptionCount();
const char* OptionName(std::size_t option);

// An option by its index, the value that it is to have, and what became of it.
struct Setting {
  std::int32_t option;
  std::int32_t value;
  std::int32_t outcome;
};
static_assert(sizeof(Setting) == 3 * sizeof(std::int32_t));

// Sets options, in order and each by itself. `outcome` is written: 0 or -errno; with `save`, what was in force before, or
// -errno where the option can be neither read nor set. With `save` an option that has its value already is not set again.
// Not for SO_LINGER, whose value before may be none.
void SetOptions(int fd, Setting* settings, std::size_t count, bool save);

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

// Writes one row of `FieldCount()` numbers: `length` bytes of a tcp_info, and what comes with it from elsewhere. `outq` are
// the bytes that the peer's kernel has not acknowledged, sent or not; NaN where that is not known.
void WriteRow(double outq, int error, const unsigned char* info, std::size_t length, double* row);

// Writes one row of `FieldCount()` numbers about a socket. What this kernel or this kind of socket
// does not tell is NaN, never 0. Never reads SO_ERROR: that would take the error away from Node.
void Inspect(int fd, double* row);

// A part of the slab. `next` is the index of the piece that follows in the same row, always a larger one; -1: none.
struct Piece {
  std::int32_t offset;
  std::int32_t length;
  std::int32_t next;
};
static_assert(sizeof(Piece) == 3 * sizeof(std::int32_t));

// What one socket is to be sent: the pieces from `first` on. `result` is written: bytes sent, or -errno if not even one.
struct Row {
  std::int32_t fd;
  std::int32_t first;
  std::int32_t result;
};
static_assert(sizeof(Row) == 3 * sizeof(std::int32_t));

// Sends each row with one system call, or a few if it has many pieces. Never blocks, never raises SIGPIPE. Returns how
// many rows were not sent completely.
std::size_t SendMany(const unsigned char* slab, const Piece* pieces, Row* rows, std::size_t count);

// Sends the same bytes to each socket of `fds[from]` to `fds[to - 1]`; a negative one is left out. Never blocks, never raises
// SIGPIPE. Returns how many took everything. The others are listed in `shorts`: how many they are, then two numbers each, the
// row and the bytes that it took or -errno. It has room for 1 + 2 * (to - from) numbers.
std::size_t SendToEach(const std::int32_t* fds, std::size_t from, std::size_t to,
                 const unsigned char* bytes, std::size_t length, std::int32_t* shorts);

}  // namespace tcp_sse

#endif  // TCP_SSE_TCP_H_

// The kernel interface of this library. Functions take numbers and return `0 | -errno`, unless they
// say otherwise.
//
// Nothing here uses JavaScript, keeps state between calls, starts a thread or calls back.
// TypeScript decides which value to set, when, and on which socket. It also validates what users
// pass. addon.cc checks each index and length again.
#ifndef TCP_SSE_TCP_H_
#define TCP_SSE_TCP_H_

#include <cstddef>
#include <cstdint>

namespace tcp_sse {

// Increased whenever the meaning of a function below changes. The TypeScript side rejects any other
// number.
constexpr int kAbi = 7;

// The options that can be set or read, by their kernel names. Callers pass the index.
std::size_t OptionCount();
const char* OptionName(std::size_t option);

// An option by its index, the value to set, and the outcome.
struct Setting {
  std::int32_t option;
  std::int32_t value;
  std::int32_t outcome;
};
static_assert(sizeof(Setting) == 3 * sizeof(std::int32_t));

// Sets options in order, independently of each other, and writes each `outcome`. Without `save` it
// is 0 or -errno. With `save` it is the previous value, or -errno if the option can be neither read
// nor set, and an option that already has its value is not set again. Do not use this for
// SO_LINGER, which may have no previous value.
void SetOptions(int fd, Setting* settings, std::size_t count, bool save);

// Returns 0 or -errno. The value of SO_LINGER is a time in seconds.
int SetOption(int fd, std::size_t option, int value);

// Returns the value, which is never negative for the listed options, or -errno.
int GetOption(int fd, std::size_t option);

// Returns 0 if this kernel has the option, else -errno. Asks with a temporary socket, never with a
// connection.
int ProbeOption(std::size_t option);

// The names of the columns that `Inspect` writes. Callers read columns by index.
std::size_t FieldCount();
const char* FieldName(std::size_t field);

// Writes one row of `FieldCount()` numbers from `length` bytes of a tcp_info and from the other
// arguments. `outq` is the number of bytes that the peer's kernel has not acknowledged, sent or
// not; NaN if unknown.
void WriteRow(double outq, int error, const unsigned char* info, std::size_t length, double* row);

// Writes one row of `FieldCount()` numbers about a socket. A value that this kernel or this kind of
// socket does not report is NaN, never 0. Does not read SO_ERROR, because a read clears the error
// before Node gets it.
void Inspect(int fd, double* row);

// A part of the slab. `next` is the index of the next piece in the same row, which is always
// larger, or -1.
struct Piece {
  std::int32_t offset;
  std::int32_t length;
  std::int32_t next;
};
static_assert(sizeof(Piece) == 3 * sizeof(std::int32_t));

// The pieces to send to one socket, from `first` on. `result` is written: the bytes sent, or -errno
// if none were sent.
struct Row {
  std::int32_t fd;
  std::int32_t first;
  std::int32_t result;
};
static_assert(sizeof(Row) == 3 * sizeof(std::int32_t));

// Sends each row with one system call, or with a few if it has many pieces. Never blocks, never
// raises SIGPIPE. Returns the number of rows that were not sent completely.
std::size_t SendMany(const unsigned char* slab, const Piece* pieces, Row* rows, std::size_t count);

// Sends the same bytes to each socket of `fds[from]` to `fds[to - 1]`, skipping negative ones.
// Never blocks, never raises SIGPIPE. Returns the number of sockets that took everything. `shorts`
// gets the number of the others, followed by two numbers for each: its row, and the bytes that it
// took or -errno. `shorts` must hold 1 + 2 * (to - from) numbers.
std::size_t SendToEach(const std::int32_t* fds, std::size_t from, std::size_t to,
                 const unsigned char* bytes, std::size_t length, std::int32_t* shorts);

}  // namespace tcp_sse

#endif  // TCP_SSE_TCP_H_

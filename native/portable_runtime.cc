// The part of the C++ runtime that the addon uses, for the binaries in the npm tarball (ADDON_PORTABLE).
//
// Those are linked without libstdc++ and without naming a C library: what a system calls its libc, and which symbol
// versions it has, is exactly where glibc and musl differ. What they import is then found in the process that loads them.
// scripts/prebuilds.mjs holds the list of what that may be.
//
// Exceptions are off, so what would throw aborts: none of it can happen short of an empty heap or a bug of ours.
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace {

void* Allocate(std::size_t size) {
  void* memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

// What _FORTIFY_SOURCE makes of memcpy where only the size of the target is known. glibc has it and musl has not.
extern "C" void* __memcpy_chk(void* target, const void* source, std::size_t length,
                              std::size_t space) {
  if (length > space) std::abort();
  return std::memcpy(target, source, length);
}

// What libstdc++'s headers call instead of `throw`.
namespace std {

void __throw_length_error(const char*) { std::abort(); }
void __throw_logic_error(const char*) { std::abort(); }
void __throw_out_of_range_fmt(const char*, ...) { std::abort(); }

// Declared `extern` in the header, because libstdc++ has it.
template class basic_string<char>;

}  // namespace std

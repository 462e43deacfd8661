// The part of the C++ runtime that the addon uses, for the binaries in the npm package
// (ADDON_PORTABLE).
//
// These binaries are linked without libstdc++ and do not name a C library, because glibc and musl
// differ in its name and its symbol versions. The process that loads the addon provides the
// imports. scripts/prebuilds.mjs has the list of allowed imports.
//
// Exceptions are disabled, so code that would throw aborts. This happens only if memory is
// exhausted or the addon has a bug.
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

// _FORTIFY_SOURCE calls this instead of memcpy if only the size of the target is known. glibc has
// it, musl does not.
extern "C" void* __memcpy_chk(void* target, const void* source, std::size_t length,
                              std::size_t space) {
  if (length > space) std::abort();
  return std::memcpy(target, source, length);
}

// The headers of libstdc++ call these instead of `throw`.
namespace std {

void __throw_length_error(const char*) { std::abort(); }
void __throw_logic_error(const char*) { std::abort(); }
void __throw_out_of_range_fmt(const char*, ...) { std::abort(); }

// The header declares this `extern`, because libstdc++ contains it.
template class basic_string<char>;

}  // namespace std

// What Debian's libstdc++ and libgcc want of glibc and musl does not have, so that Bun's build for musl starts on Debian:
// there it is Alpine's libstdc++ that it gets. Made into a library by the name of glibc's loader, which they ask for.
// Bun itself and our addon use none of it.
#include <locale.h>
#include <stdlib.h>
#include <time.h>

char __libc_single_threaded = 0;
unsigned __cpu_model[4];

int __cpu_indicator_init(void) { return 0; }

unsigned arc4random(void) { return (unsigned)random(); }

size_t __strftime_l(char* out, size_t size, const char* format, const struct tm* time,
                    locale_t locale) {
  return strftime_l(out, size, format, time, locale);
}

// Destructors of thread-locals are left out: the process ends anyhow.
int __cxa_thread_atexit_impl(void (*destroy)(void*), void* object, void* library) {
  (void)destroy, (void)object, (void)library;
  return 0;
}

// "Not found": the unwinder then asks dl_iterate_phdr, which musl has.
int _dl_find_object(void* address, void* result) {
  (void)address, (void)result;
  return -1;
}

void __glibcxx_assert_fail(const char* file, int line, const char* function, const char* text) {
  (void)file, (void)line, (void)function, (void)text;
  abort();
}

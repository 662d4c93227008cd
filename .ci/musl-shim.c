/*
 * The symbols that the libstdc++ of glibc needs and musl lacks. Bun's musl build needs a libstdc++,
 * and Debian has none for musl. For tests only: .ci/musl installs it as ld-linux-x86-64.so.2, on
 * which that libstdc++ depends.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded;
struct {
  unsigned words[4];
} __cpu_model;

int __cpu_indicator_init(void) { return 0; }

uint32_t arc4random(void) {
  uint32_t value = 0;
  getrandom(&value, sizeof value, 0);
  return value;
}

size_t __strftime_l(char* out, size_t size, const char* format, const struct tm* time,
                    void* locale) {
  (void)locale;
  return strftime(out, size, format, time);
}

int __cxa_thread_atexit_impl(void (*destroy)(void*), void* object, void* library) {
  (void)destroy;
  (void)object;
  (void)library;
  return 0;
}

/* Returns "not found", so the unwinder searches the loaded objects. */
int _dl_find_object(void* address, void* result) {
  (void)address;
  (void)result;
  return -1;
}

// The few functions of the C++ library that native/ calls and that are not templates. The prebuilt
// addons are linked with this file instead of a C++ library. They load with any libstdc++, on musl
// and on macOS, and have a quarter of the size. Only scripts/prebuild.js compiles this file.

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <new>

namespace {

// Allocates memory for an operator new that must not fail.
void* Allocate(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}

void* AllocateOrNull(std::size_t size) noexcept { return std::malloc(size == 0 ? 1 : size); }

}  // namespace

const std::nothrow_t std::nothrow{};

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return AllocateOrNull(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return AllocateOrNull(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

extern "C" void __cxa_pure_virtual() { std::abort(); }

_LIBCPP_BEGIN_NAMESPACE_STD

// The templates call this instead of throwing.
[[noreturn]] void __libcpp_verbose_abort(const char*, ...) noexcept { std::abort(); }

namespace chrono {

steady_clock::time_point steady_clock::now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time_point(seconds(time.tv_sec) + nanoseconds(time.tv_nsec));
}

}  // namespace chrono

_LIBCPP_END_NAMESPACE_STD

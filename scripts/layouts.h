// The base of the program that scripts/layouts.js writes. The program prints each layout as a line
// of JSON.
#ifndef SOCKET_TUNER_SCRIPTS_LAYOUTS_H_
#define SOCKET_TUNER_SCRIPTS_LAYOUTS_H_

#include <cstddef>
#include <cstdio>
#include <type_traits>

#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/net_tstamp.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

// Returns the name of a number type in lib/kernel/bytes.ts; "bytes" for any other type.
template <typename Type>
constexpr const char* Kind() {
  if constexpr (std::is_integral_v<Type>) {
    constexpr bool kIsSigned = std::is_signed_v<Type>;
    static_assert(!kIsSigned || sizeof(Type) == 4, "nothing reads such a number");
    if (sizeof(Type) == 1) return "u8";
    if (sizeof(Type) == 2) return "u16";
    if (sizeof(Type) == 8) return "u64";
    return kIsSigned ? "i32" : "u32";
  } else {
    return "bytes";
  }
}

inline const char* separator = "";

inline void Begin(const char* name, const char* of) {
  std::printf("{\"name\":\"%s\",\"of\":\"%s\",\"members\":[", name, of);
  separator = "";
}

inline void Put(const char* key, const char* kind, std::size_t value, std::size_t size) {
  std::printf("%s[\"%s\",\"%s\",%zu,%zu]", separator, key, kind, value, size);
  separator = ",";
}

template <typename Type>
void Member(const char* key, std::size_t offset) {
  Put(key, Kind<Type>(), offset, sizeof(Type));
}

// Prints the word of an array at this index.
inline void Word(const char* key, std::size_t index) {
  Put(key, "u32", index * sizeof(uint32_t), sizeof(uint32_t));
}

inline void Number(const char* key, std::size_t value) { Put(key, "number", value, 0); }

inline void End(std::size_t size) { std::printf("],\"size\":%zu}\n", size); }

#endif  // SOCKET_TUNER_SCRIPTS_LAYOUTS_H_

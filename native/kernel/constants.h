// The numbers of levels, options, families and types on this platform.
#ifndef SOCKET_TUNER_KERNEL_CONSTANTS_H_
#define SOCKET_TUNER_KERNEL_CONSTANTS_H_

#include <cstddef>

namespace socket_tuner::kernel {

// IPPROTO_MPTCP of Linux, which some headers lack.
constexpr int kMptcpProtocol = 262;

struct Constant {
  const char* name;
  int value;
};

struct ConstantTable {
  const Constant* first;
  size_t count;
};

ConstantTable Constants();

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_CONSTANTS_H_

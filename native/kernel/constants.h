// The numbers of levels, options, families and types as this platform's headers give them.
#ifndef SOCKET_TUNER_KERNEL_CONSTANTS_H_
#define SOCKET_TUNER_KERNEL_CONSTANTS_H_

#include <cstddef>

namespace socket_tuner::kernel {

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

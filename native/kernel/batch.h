// Many options on one socket: saved, set, read back, and put back when one fails.
#ifndef SOCKET_TUNER_KERNEL_BATCH_H_
#define SOCKET_TUNER_KERNEL_BATCH_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// One operation is this many 32-bit slots of the program. The first seven are read, the rest
// written.
enum Slot : size_t {
  kLevel,
  kName,
  kFlags,
  kValue,        // the integer to set, or where its bytes begin in `data`
  kLength,       // bytes to set (kBytes, kProgram)
  kOut,          // where read bytes go in `data`
  kOutCapacity,  // how many bytes may be read there
  kStatus,       // of the set: 0 or -errno
  kReadStatus,   // of the read: bytes read, or -errno
  kReadValue,    // the integer read back
  kRestored,     // after a failure: 1 put back, -errno not put back, 0 never changed
  kSlots
};

enum Flag : int {
  kSet = 1,       // set it
  kSave = 2,      // read it before, so that it can be put back
  kReadBack = 4,  // read it afterwards
  kBytes = 8,     // its value is bytes, not a 4-byte integer
  kProgram = 16,  // its value is a BPF program
  kHalve = 32,    // put back half of the number that was read
  kUnset = 64,    // an integer read as slot kLength is put back as slot kOut
};

constexpr size_t kMaxOperations = 512;

// Applies the operations of a program in order and then reads back. An option that the kernel does
// not have is skipped, its status told. At the first other failure those before it are put back,
// last one first.
//
// How many operations went well: `count`, or the index of the one that failed. A negated errno when
// nothing was tried, as for a program with offsets outside of `data`. Both may be memory that
// another thread writes to.
int RunBatch(int fd, uint8_t* program, size_t count, uint8_t* data, size_t data_length);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_BATCH_H_

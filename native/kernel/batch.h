// Sets many options of one socket: saves the old values, sets the new ones and reads them back, or
// restores the old ones if an option fails.
#ifndef SOCKET_TUNER_KERNEL_BATCH_H_
#define SOCKET_TUNER_KERNEL_BATCH_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// The 32-bit slots of one operation of a program. RunBatch reads the first seven and writes the
// others. scripts/layouts.js writes the numbers of the slots and flags for TypeScript.
enum Slot : size_t {
  kLevel,
  kName,
  kFlags,
  kValue,        // the integer to set, or the offset of its bytes in `data`
  kLength,       // the number of bytes to set (kBytes, kProgram)
  kOut,          // the offset in `data` of the bytes that are read
  kOutCapacity,  // the most bytes to read
  kStatus,       // result of setting: 0 or -errno
  kReadStatus,   // result of reading back: the number of bytes, or -errno
  kReadValue,    // the integer that was read back
  kRestored,     // after a failure: 1 restored, -errno not restored, 0 never changed
  kSlots
};

enum Flag : int {
  kSet = 1,       // sets the option
  kSave = 2,      // reads the old value first, so that it can be restored
  kReadBack = 4,  // reads the new value
  kBytes = 8,     // the value is bytes, not a 4-byte integer
  kProgram = 16,  // the value is a BPF program
  kHalve = 32,    // restores half of the number that was read
  kUnset = 64,    // restores slot kOut if the integer that was read equals slot kLength
};

constexpr size_t kMaxOperations = 512;

// Applies the operations of a program in order, then reads the values back. Skips an option that
// the kernel does not have, and reports that in its status. At any other failure, restores the
// earlier options, the last one first.
//
// Returns the number of operations that succeeded: `count`, or the index of the one that failed.
// Returns a negated errno if nothing was tried, for example for offsets outside of `data`. Another
// thread may write to `program` and `data` during the call.
int RunBatch(int fd, uint8_t* program, size_t count, uint8_t* data, size_t data_length);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_BATCH_H_

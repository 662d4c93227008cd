'use strict'

/**
 * Calls `step` with 0, 1, 2, ..., `atATime` calls at once, until `times` have begun, `stopAfterMs` have passed, or a step
 * resolves to false, which ends its lane.
 *
 * @returns the number of calls
 */
exports.inLanes = async ({ atATime, times, stopAfterMs = Infinity }, step) => {
  const end = performance.now() + stopAfterMs
  let begun = 0
  const lane = async () => {
    while (begun < times && performance.now() < end) {
      if ((await step(begun++)) === false) return
    }
  }
  await Promise.all(Array.from({ length: atATime }, lane))
  return begun
}

'use strict'

/** What code that uses bytes, numbers or functions might look up on a prototype. */
const targets = [
  [Object.getPrototypeOf(Uint8Array.prototype), ['length', 'byteLength', 'byteOffset', 'buffer']],
  [ArrayBuffer.prototype, ['byteLength', 'slice']],
  [Object.prototype, ['0', 'fd', '_handle', 'then', 'valueOf', 'value', 'get', 'set', 'writable']],
  [Number.prototype, ['valueOf', 'toString']],
  [String.prototype, ['length', 'toString']],
  [Function.prototype, ['call', 'apply', 'bind', 'length']],
]

const { apply, defineProperty, deleteProperty, getOwnPropertyDescriptor, setPrototypeOf } = Reflect

/** Runs `call` while `strike` is what all of them run. */
function underTampering(strike, call) {
  const changed = []
  try {
    for (const [object, keys] of targets) {
      for (const key of keys) {
        const own = getOwnPropertyDescriptor(object, key)
        if (own !== undefined && !own.configurable) continue
        // What it lacks must not be looked up on Object.prototype when it is put back.
        if (own !== undefined) setPrototypeOf(own, null)
        changed[changed.length] = [object, key, own]
        const bait = { __proto__: null, get: strike, set: strike, configurable: true }
        defineProperty(object, key, bait)
      }
    }
    return apply(call, undefined, [])
  } finally {
    for (let index = changed.length; index-- > 0;) {
      const object = changed[index][0]
      const key = changed[index][1]
      const own = changed[index][2]
      if (own === undefined) deleteProperty(object, key)
      else defineProperty(object, key, own)
    }
  }
}

module.exports = { underTampering }

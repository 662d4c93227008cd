'use strict'

/** Properties that code may look up on the prototypes of bytes, numbers and functions. */
const targets = [
  [Object.getPrototypeOf(Uint8Array.prototype), ['length', 'byteLength', 'byteOffset', 'buffer']],
  [ArrayBuffer.prototype, ['byteLength', 'slice']],
  [Object.prototype, ['0', 'fd', '_handle', 'then', 'valueOf', 'value', 'get', 'set', 'writable']],
  [Number.prototype, ['valueOf', 'toString']],
  [String.prototype, ['length', 'toString']],
  [Function.prototype, ['call', 'apply', 'bind', 'length']],
]

const { apply, defineProperty, deleteProperty, getOwnPropertyDescriptor, setPrototypeOf } = Reflect

/** Runs `call` while all of these properties run `strike`. */
function underTampering(strike, call) {
  const changed = []
  try {
    for (const [object, keys] of targets) {
      for (const key of keys) {
        const own = getOwnPropertyDescriptor(object, key)
        if (own !== undefined && !own.configurable) continue
        // Prevents a lookup of missing attributes on Object.prototype when the property is restored.
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

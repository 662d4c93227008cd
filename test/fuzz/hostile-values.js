'use strict'

/**
 * Hostile values: accessors, traps and conversions that throw, close a socket or detach memory. `touched` counts each
 * run of their code.
 */
const vm = require('node:vm')

const state = {
  /** The number of runs of a hostile value's code. */
  touched: 0,
  /** The action of such code before it throws, set by the program. */
  harm: () => undefined,
}

class Hostility extends Error {}

function strike() {
  state.touched++
  state.harm()
  throw new Hostility('a hostile value was touched')
}

/** Every trap of a proxy. */
const traps = Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, strike]))

const conversions = { valueOf: strike, toString: strike, [Symbol.toPrimitive]: strike, then: 1 }

function withAccessor(object, ...keys) {
  for (const key of keys) Object.defineProperty(object, key, { get: strike, enumerable: true })
  return object
}

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

class Longer extends Uint8Array {
  get length() {
    return 2 ** 31
  }
  get byteLength() {
    return 2 ** 31
  }
}

const OtherUint8Array = vm.runInNewContext('Uint8Array')

const numbers = [
  NaN,
  -0,
  0.5,
  -1,
  Infinity,
  -Infinity,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 53,
  -(2 ** 53),
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  0,
  1,
  7,
  512,
  513,
  32_768,
  65_536,
]

const makers = [
  () => undefined,
  () => null,
  () => true,
  () => '',
  () => '1',
  () => '\ud800',
  () => 'x'.repeat(300),
  () => 3n,
  () => -(2n ** 70n),
  () => Symbol('hostile'),
  () => [],
  () => [3],
  () => ({}),
  () => Object.create(null),
  () => Object.freeze({ length: 8 }),
  () => () => 0,
  () => strike,
  () => class {},
  () => async () => 0,
  () => new Date(NaN),
  () => new Map(),
  () => new Number(3),
  () => new Proxy({}, traps),
  () => new Proxy(new Uint8Array(8), traps),
  () => new Proxy(() => 0, traps),
  () => revoked(),
  () => ({ ...conversions }),
  () => withAccessor({}, 'fd', '_handle', 'length', 'buffer', 'enabled', '0'),
  () => withAccessor(new Uint8Array(8), 'length', 'byteLength', 'buffer', 'byteOffset'),
  () => new Longer(4),
  () => new OtherUint8Array(16),
  () => Object.create(Uint8Array.prototype),
  () => Object.setPrototypeOf(new Uint8Array(8), null),
  () => new Float64Array(4),
  () => new BigInt64Array(4),
  () => new Uint8ClampedArray(16),
  () => new Uint16Array(8),
  () => new DataView(new ArrayBuffer(16)),
  () => new ArrayBuffer(16),
  () => new SharedArrayBuffer(16),
  () => globalThis,
  () => Promise.resolve(1),
]

function hostile(random) {
  return random.once(3) ? random.pick(numbers) : random.pick(makers)()
}

module.exports = { Hostility, hostile, state, strike, traps, withAccessor }

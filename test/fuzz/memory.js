'use strict'

/**
 * Memory for native functions to read and fill: whole, partial, shared, resizable, shrunk under its view, detached.
 * It is filled with a pattern, which shows the bytes that were written.
 */
const POISON = 0xee
const GUARD = 32
/** The pattern with which AddressSanitizer fills new memory by default. */
const FRESH = 0xbe

const sizes = [0, 1, 3, 4, 8, 16, 44, 88, 216, 600]
const largeSizes = [4096, 32_768, 32_769, 70_000]

function poisoned(buffer) {
  new Uint8Array(buffer).fill(POISON)
  return buffer
}

const shapes = [
  (bytes) => new ArrayBuffer(bytes),
  (bytes) => new SharedArrayBuffer(bytes),
  (bytes) => new ArrayBuffer(bytes, { maxByteLength: bytes + 64 }),
  (bytes) => new SharedArrayBuffer(bytes, { maxByteLength: bytes + 64 }),
]

/** Shrinks or detaches the memory under its view. */
const thefts = [
  (buffer) => structuredClone(buffer, { transfer: [buffer] }),
  (buffer) => buffer.resizable && buffer.resize(0),
  (buffer) => buffer.resizable && buffer.resize(GUARD + 1),
  (buffer) => buffer.resizable && buffer.resize(buffer.maxByteLength),
]

/** Returns a view of random length between two guards. */
function memory(random, View = Uint8Array) {
  const size = random.pick(random.once(50) ? largeSizes : sizes)
  const length = Math.floor(size / View.BYTES_PER_ELEMENT)
  const buffer = poisoned(random.pick(shapes)(size + 2 * GUARD + View.BYTES_PER_ELEMENT))
  const view = new View(buffer, GUARD, length)
  const stolen = random.once(12) && buffer instanceof ArrayBuffer
  if (stolen) random.pick(thefts)(buffer)
  return { view, buffer, stolen }
}

/** Describes the fault of memory whose first `written` bytes a native function reports as filled; undefined if none. */
function faultOf({ view, buffer, stolen }, written) {
  if (stolen) return undefined
  if (written > view.byteLength) return `says ${written} of ${view.byteLength} bytes`
  const bytes = new Uint8Array(buffer)
  const end = GUARD + view.byteLength
  for (let at = 0; at < bytes.length; at++) {
    if ((at < GUARD || at >= end) && bytes[at] !== POISON) return `wrote at ${at - GUARD}, outside`
  }
  let fresh = 0
  for (let at = GUARD; at < end; at++) {
    const byte = bytes[at]
    fresh = byte === FRESH ? fresh + 1 : 0
    if (fresh === 4) return `gave memory that nobody had written, at ${at - GUARD}`
    if (at >= GUARD + written && byte !== POISON && byte !== 0)
      return `wrote ${byte} at ${at - GUARD}, behind the ${written} bytes that it reports`
  }
  return undefined
}

module.exports = { faultOf, memory }

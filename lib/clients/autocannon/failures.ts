/** Failures of connections by code, in memory that threads share. */

/** The failures with one code. */
export interface FailureCount {
  count: number
  /** The message of the first one. */
  message: string
}

/** The most codes with entries of their own. Failures with further codes are counted together, as {@link OTHERS}. */
const ENTRIES = 32
/** The room for a code and its message. */
const TEXT_BYTES = 1024
/** The words of an entry before its text: state, count, length of the code, length of the message. */
const HEADER = 4
const HEADER_BYTES = HEADER * Int32Array.BYTES_PER_ELEMENT
const ENTRY_BYTES = HEADER_BYTES + TEXT_BYTES

const FREE = 0
const BEING_WRITTEN = 1
const READY = 2

const OTHERS = 'others'

/** The size of the memory. */
export const FAILURE_BYTES = ENTRIES * ENTRY_BYTES + Int32Array.BYTES_PER_ELEMENT

export class SharedFailures {
  readonly #words: Int32Array
  readonly #text: Buffer
  readonly #others: Int32Array

  /** @param offset where {@link FAILURE_BYTES} begin, which must be zero; a multiple of 4 */
  constructor(memory: SharedArrayBuffer, offset: number) {
    const end = offset + ENTRIES * ENTRY_BYTES
    this.#words = new Int32Array(memory, offset, (end - offset) / Int32Array.BYTES_PER_ELEMENT)
    this.#text = Buffer.from(memory, offset, end - offset)
    this.#others = new Int32Array(memory, end, 1)
  }

  add(code: string, message: string): void {
    for (let entry = 0; entry < ENTRIES; entry++) {
      const at = this.#wordOf(entry)
      if (Atomics.compareExchange(this.#words, at, FREE, BEING_WRITTEN) === FREE) {
        this.#write(entry, code, message)
        return
      }
      // An entry that another thread is writing may be of the same code. read() adds the two up.
      if (Atomics.load(this.#words, at) === READY && this.#read(entry).code === code) {
        Atomics.add(this.#words, at + 1, 1)
        return
      }
    }
    Atomics.add(this.#others, 0, 1)
  }

  read(): Record<string, FailureCount> {
    const failures = new Map<string, FailureCount>()
    for (let entry = 0; entry < ENTRIES; entry++) {
      const at = this.#wordOf(entry)
      if (Atomics.load(this.#words, at) !== READY) continue
      const { code, message } = this.#read(entry)
      const count = Atomics.load(this.#words, at + 1) + (failures.get(code)?.count ?? 0)
      failures.set(code, { message: failures.get(code)?.message ?? message, count })
    }
    const others = Atomics.load(this.#others, 0)
    if (others > 0)
      failures.set(OTHERS, { count: others, message: `More than ${String(ENTRIES)} codes` })
    return Object.fromEntries(failures)
  }

  #wordOf(entry: number): number {
    return (entry * ENTRY_BYTES) / Int32Array.BYTES_PER_ELEMENT
  }

  #write(entry: number, code: string, message: string): void {
    const at = this.#wordOf(entry)
    const begin = entry * ENTRY_BYTES + HEADER_BYTES
    const codeLength = this.#text.write(code, begin, TEXT_BYTES)
    const messageLength = this.#text.write(message, begin + codeLength, TEXT_BYTES - codeLength)
    this.#words.set([1, codeLength, messageLength], at + 1)
    Atomics.store(this.#words, at, READY)
  }

  #read(entry: number): { code: string; message: string } {
    const at = this.#wordOf(entry)
    const begin = entry * ENTRY_BYTES + HEADER_BYTES
    const [codeLength = 0, messageLength = 0] = this.#words.subarray(at + 2, at + HEADER)
    const end = begin + codeLength
    return {
      code: this.#text.toString('utf8', begin, end),
      message: this.#text.toString('utf8', end, end + messageLength),
    }
  }
}

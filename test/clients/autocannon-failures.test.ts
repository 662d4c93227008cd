import { FAILURE_BYTES, SharedFailures } from '../../lib/clients/autocannon/failures'

const OFFSET = 8

/** Returns the failures of a run in two threads that share memory. */
function shared(): { memory: SharedArrayBuffer; one: SharedFailures; other: SharedFailures } {
  const memory = new SharedArrayBuffer(OFFSET + FAILURE_BYTES + 4)
  return {
    memory,
    one: new SharedFailures(memory, OFFSET),
    other: new SharedFailures(memory, OFFSET),
  }
}

describe('the failures of a run', () => {
  it('are counted by code over all threads, with the message of the first failure', () => {
    const { one, other } = shared()
    expect(one.read()).toEqual({})
    one.add('ECONNREFUSED', 'the first')
    other.add('ECONNREFUSED', 'the second')
    other.add('ETIMEDOUT', 'late')
    one.add('ECONNREFUSED', 'the third')
    const failures = {
      ECONNREFUSED: { count: 3, message: 'the first' },
      ETIMEDOUT: { count: 1, message: 'late' },
    }
    expect(one.read()).toEqual(failures)
    expect(other.read()).toEqual(failures)
  })

  it('are added up if two threads wrote the same code at the same time', () => {
    const { memory, one, other } = shared()
    const words = new Int32Array(memory, OFFSET)
    one.add('EMFILE', 'of one')
    // The other thread has not seen the first entry yet.
    words[0] = 1
    other.add('EMFILE', 'of the other')
    words[0] = 2
    expect(one.read()).toEqual({ EMFILE: { count: 2, message: 'of one' } })
  })

  it('stay within their memory, however long their codes and however many there are', () => {
    const { memory, one } = shared()
    const long = 'ü'.repeat(3_000)
    one.add('LONG', long)
    one.add(long, 'never seen')
    for (let i = 0; i < 100; i++) one.add(`CODE_${String(i)}`, long)
    const { LONG, others, ...rest } = one.read()
    expect(long.startsWith(LONG?.message ?? '-')).toBe(true)
    expect(LONG?.message.length).toBeGreaterThan(500)
    expect(others?.count).toBe(70)
    expect(Object.keys(rest)).toHaveLength(31)
    const bytes = new Uint8Array(memory)
    expect([...bytes.subarray(0, OFFSET), ...bytes.subarray(OFFSET + FAILURE_BYTES)]).toEqual(
      Array(OFFSET + 4).fill(0),
    )
  })
})

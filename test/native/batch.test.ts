import { constants } from 'node:os'
import { native } from '../../lib/kernel/binding'
import { closedDescriptor, constant, tcpSocket } from '../sockets'

/** The slots of one operation (native/kernel/batch.h). */
const SLOTS = 11
const STATUS = 7
const READ_STATUS = 8
const READ_VALUE = 9
const RESTORED = 10

const SET = 1
const SAVE = 2
const READ_BACK = 4
const BYTES = 8

const { EINVAL, EBADF, ENOPROTOOPT, ENOENT } = constants.errno

const TCP = constant('IPPROTO_TCP')
const NODELAY = constant('TCP_NODELAY')
const KEEPIDLE = constant('TCP_KEEPIDLE')
const CONGESTION = constant('TCP_CONGESTION')

function programOf(...operations: readonly (readonly number[])[]): Int32Array {
  const program = new Int32Array(operations.length * SLOTS)
  operations.forEach((slots, index) => {
    program.set(slots, index * SLOTS)
  })
  return program
}

function slot(program: Int32Array, operation: number, index: number): number | undefined {
  return program[operation * SLOTS + index]
}

const none = new Uint8Array(0)

describe('applyBatch', () => {
  it('sets all options in order, and reads all of them back at the end', () => {
    const program = programOf(
      [TCP, KEEPIDLE, SET | READ_BACK, 10],
      [TCP, KEEPIDLE, SET | READ_BACK, 20],
    )
    expect(native.applyBatch(tcpSocket(), program, none, 2)).toBe(2)
    expect([slot(program, 0, READ_VALUE), slot(program, 1, READ_VALUE)]).toEqual([20, 20])
    expect([slot(program, 0, READ_STATUS), slot(program, 0, STATUS)]).toEqual([4, 0])
  })

  it('writes bytes to their place, and no others', () => {
    const data = new Uint8Array(32).fill(0xee)
    data.set(Buffer.from('reno'), 4)
    const program = programOf([TCP, CONGESTION, SET | READ_BACK | BYTES, 4, 4, 12, 16])
    expect(native.applyBatch(tcpSocket(), program, data, 1)).toBe(1)
    expect(slot(program, 0, READ_STATUS)).toBe(16)
    expect(Buffer.from(data.subarray(12, 16)).toString()).toBe('reno')
    expect([...data.subarray(0, 4), ...data.subarray(28)]).toEqual(Array(8).fill(0xee))
  })

  it('restores the saved values in reverse order if an option fails, and reports each', () => {
    const fd = tcpSocket()
    const program = programOf(
      [TCP, KEEPIDLE, SET | SAVE, 10],
      [TCP, NODELAY, SET, 1],
      [TCP, KEEPIDLE, SET | SAVE, 20],
      [TCP, KEEPIDLE, SET | SAVE, 0],
      [TCP, KEEPIDLE, SET | SAVE, 30],
    )
    const before = native.getInt(fd, TCP, KEEPIDLE)
    expect(native.applyBatch(fd, program, none, 5)).toBe(3)
    expect(slot(program, 3, STATUS)).toBe(-EINVAL)
    expect([0, 1, 2, 3, 4].map((operation) => slot(program, operation, RESTORED))).toEqual([
      1,
      -constants.errno.EPERM,
      1,
      0,
      0,
    ])
    expect(native.getInt(fd, TCP, KEEPIDLE)).toBe(before)
    expect(native.getInt(fd, TCP, NODELAY)).toBe(1)
  })

  it('skips an option that the kernel lacks', () => {
    const fd = tcpSocket()
    const program = programOf([TCP, 9999, SET | READ_BACK, 1], [TCP, KEEPIDLE, SET | READ_BACK, 10])
    expect(native.applyBatch(fd, program, none, 2)).toBe(2)
    expect(slot(program, 0, STATUS)).toBe(-ENOPROTOOPT)
    expect(slot(program, 1, READ_VALUE)).toBe(10)
  })

  it.each([
    ['IPPROTO_TCP', 1],
    ['IPPROTO_IP', 1],
    ['IPPROTO_IPV6', 0],
  ] as const)('skips an unknown option only at a level that the socket has: %s', (level, done) => {
    const program = programOf([constant(level), 9999, SET | READ_BACK, 1])
    expect(native.applyBatch(tcpSocket(), program, none, 1)).toBe(done)
    expect(slot(program, 0, STATUS)).toBe(-ENOPROTOOPT)
  })

  it('fails at the first operation of a descriptor that is not open', () => {
    const program = programOf([TCP, KEEPIDLE, SET, 10])
    expect(native.applyBatch(closedDescriptor(), program, none, 1)).toBe(0)
    expect(slot(program, 0, STATUS)).toBe(-EBADF)
  })

  it('does nothing for an empty batch', () => {
    expect(native.applyBatch(tcpSocket(), new Int32Array(0), none, 0)).toBe(0)
    const program = programOf([TCP, KEEPIDLE, 0, 10])
    const fd = tcpSocket()
    const before = native.getInt(fd, TCP, KEEPIDLE)
    expect(native.applyBatch(fd, program, none, 1)).toBe(1)
    expect(native.getInt(fd, TCP, KEEPIDLE)).toBe(before)
  })

  it('ignores the values that a previous call left in the slots', () => {
    const program = programOf([TCP, KEEPIDLE, SET | READ_BACK, 10, 0, 0, 0, -5, -6, 7, -8])
    expect(native.applyBatch(tcpSocket(), program, none, 1)).toBe(1)
    expect([...program.slice(STATUS)]).toEqual([0, 4, 10, 0])
  })

  describe('changes nothing, and returns an errno, if', () => {
    const first = [TCP, NODELAY, SET, 1]
    const cases: readonly [what: string, operation: readonly number[]][] = [
      ['bytes begin before the data', [TCP, CONGESTION, SET | BYTES, -1, 4]],
      ['bytes begin behind the data', [TCP, CONGESTION, SET | BYTES, 17, 0]],
      ['bytes end behind the data', [TCP, CONGESTION, SET | BYTES, 13, 4]],
      ['the length is negative', [TCP, CONGESTION, SET | BYTES, 0, -1]],
      ['offset and length overflow', [TCP, CONGESTION, SET | BYTES, 0x7fff_ffff, 0x7fff_ffff]],
      ['the place to read to is negative', [TCP, CONGESTION, READ_BACK | BYTES, 0, 0, -1, 4]],
      ['the place to read to is too short', [TCP, CONGESTION, READ_BACK | BYTES, 0, 0, 8, 9]],
      ['the room to read to is negative', [TCP, CONGESTION, READ_BACK | BYTES, 0, 0, 0, -1]],
      ['the room overflows', [TCP, CONGESTION, READ_BACK | BYTES, 0, 0, 1, 0x7fff_ffff]],
    ]
    it.each(cases)('%s', (_what, operation) => {
      const fd = tcpSocket()
      const data = new Uint8Array(16)
      expect(native.applyBatch(fd, programOf(first, operation), data, 2)).toBe(-EINVAL)
      expect(native.getInt(fd, TCP, NODELAY)).toBe(0)
    })

    it('there are fewer operations than announced', () => {
      const fd = tcpSocket()
      expect(native.applyBatch(fd, programOf(first), none, 2)).toBe(-EINVAL)
      expect(native.applyBatch(fd, new Int32Array(SLOTS - 1), none, 1)).toBe(-EINVAL)
      expect(native.applyBatch(fd, programOf(first), none, -1)).toBe(-EINVAL)
      expect(native.applyBatch(fd, programOf(first), none, 0.5)).toBe(-EINVAL)
      expect(native.applyBatch(fd, new Int32Array(SLOTS * 600), none, 513)).toBe(-EINVAL)
      expect(native.getInt(fd, TCP, NODELAY)).toBe(0)
    })

    it('the program has another type', () => {
      const fd = tcpSocket()
      const program = programOf(first)
      const bytes = new Uint8Array(program.buffer)
      for (const wrong of [bytes, [...program], program.buffer, new Float32Array(SLOTS), null]) {
        expect(native.applyBatch(fd, wrong as never, none, 1)).toBe(-EINVAL)
      }
      expect(native.getInt(fd, TCP, NODELAY)).toBe(0)
    })
  })

  it('accepts as many operations as it announces', () => {
    const fd = tcpSocket()
    const program = programOf(
      ...Array.from({ length: 512 }, (_, index) => [TCP, KEEPIDLE, SET, index + 1]),
    )
    expect(native.applyBatch(fd, program, none, 512)).toBe(512)
    expect(native.getInt(fd, TCP, KEEPIDLE)).toBe(512)
  })

  it('returns ENOENT for a failure in the data', () => {
    const data = Buffer.from('no_such_algo')
    const program = programOf([TCP, CONGESTION, SET | BYTES, 0, data.length])
    expect(native.applyBatch(tcpSocket(), program, new Uint8Array(data), 1)).toBe(0)
    expect(slot(program, 0, STATUS)).toBe(-ENOENT)
  })
})

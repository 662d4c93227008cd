import { heldMs, reuseBetween } from '../../lib/ports/time-wait-reuse'

const facts = { setting: 1, delayMs: 500, timestamps: 1 }

describe('reuseBetween()', () => {
  it.each([
    ['0', { setting: 0 }, '10.0.0.1', '10.0.0.2', false],
    ['1', { setting: 1 }, '10.0.0.1', '10.0.0.2', true],
    ['1 without timestamps', { setting: 1, timestamps: 0 }, '10.0.0.1', '10.0.0.2', false],
    ['1 with timestamps that are not random', { timestamps: 2 }, '10.0.0.1', '10.0.0.2', true],
    ['2 between other addresses', { setting: 2 }, '10.0.0.1', '10.0.0.2', false],
    ['2 on loopback', { setting: 2 }, '127.0.0.1', '127.8.8.8', true],
    ['2 from a loopback address', { setting: 2 }, '127.0.0.1', '10.0.0.2', true],
    ['2 on IPv6 loopback', { setting: 2 }, '::1', '::1', true],
    ['2 between other IPv6 addresses', { setting: 2 }, 'fd00::1', 'fd00::2', false],
  ])('judges whether ports are reused with tcp_tw_reuse=%s', (_, some, local, remote, applies) => {
    expect(reuseBetween({ ...facts, ...some }, local, remote).applies).toBe(applies)
  })

  it('assumes 1,000 ms on a kernel without the setting', () => {
    const reuse = reuseBetween({ ...facts, delayMs: undefined }, '10.0.0.1', '10.0.0.2')
    expect(reuse.delayMs).toBe(1000)
    expect(heldMs(reuse)).toBe(1000)
    expect(heldMs({ ...reuse, applies: false })).toBe(60_000)
  })
})

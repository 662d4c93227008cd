import { heldMs, reuseBetween } from '../../lib/ports/reuse'

const facts = { setting: 1, delayMs: 500, timestamps: 1 }

describe('reuseBetween()', () => {
  it.each([
    ['off', { setting: 0 }, '10.0.0.1', '10.0.0.2', false],
    ['on', { setting: 1 }, '10.0.0.1', '10.0.0.2', true],
    ['on, without timestamps', { setting: 1, timestamps: 0 }, '10.0.0.1', '10.0.0.2', false],
    ['on, with timestamps that are not random', { timestamps: 2 }, '10.0.0.1', '10.0.0.2', true],
    ['loopback only, elsewhere', { setting: 2 }, '10.0.0.1', '10.0.0.2', false],
    ['loopback only, to it', { setting: 2 }, '127.0.0.1', '127.8.8.8', true],
    ['loopback only, from it', { setting: 2 }, '127.0.0.1', '10.0.0.2', true],
    ['loopback only, IPv6', { setting: 2 }, '::1', '::1', true],
    ['loopback only, IPv6 elsewhere', { setting: 2 }, 'fd00::1', 'fd00::2', false],
  ])('%s', (_, some, local, remote, applies) => {
    expect(reuseBetween({ ...facts, ...some }, local, remote).applies).toBe(applies)
  })

  it('has 1,000 ms where the kernel has no setting for the delay', () => {
    const reuse = reuseBetween({ ...facts, delayMs: undefined }, '10.0.0.1', '10.0.0.2')
    expect(reuse.delayMs).toBe(1000)
    expect(heldMs(reuse)).toBe(1000)
    expect(heldMs({ ...reuse, applies: false })).toBe(60_000)
  })
})

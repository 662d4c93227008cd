import { nearest } from '../lib/spec'

const names = ['json', 'target', 'print-sysctl', 'once']

describe('nearest()', () => {
  it.each([
    ['taget', 'target'],
    ['targets', 'target'],
    ['tagret', 'target'],
    ['JSON', 'json'],
    ['jsno', 'json'],
    ['print_sysctl', 'print-sysctl'],
    ['printsysctl', 'print-sysctl'],
    ['xyz', undefined],
    ['', undefined],
    ['a', undefined],
    ['a-name-that-is-far-from-all', undefined],
  ])('suggests for %j: %j', (wrong, meant) => {
    expect(nearest(wrong, names)).toBe(meant)
  })
})

/**
 * Every function that takes a target, on targets in every state that Node's objects are known to get into: it
 * gives a value or an error with a documented code, it settles, and does no harm. The functions run in
 * processes of their own, since what goes wrong here ends them.
 */
import * as library from '../../lib'
import { makeCertificate } from '../helpers/certificate'
import { used, without } from './states/calls'
import { runStates, type Findings } from './states/run'
import { states } from './states/states'

/** Two processors share the states; a cluster is a process more. */
const shares: [string[], string[], string[]] = [[], [], []]
Object.entries(states).forEach(([name, { needs }], index) => {
  shares[needs === 'cluster' ? 2 : index % 2 === 0 ? 0 : 1].push(name)
})
const DEADLINE_MS = 200_000

const modes = ['fin', 'deliver', 'lingering', 'reset'] as const
const found = new Map<string, Findings>()

beforeAll(async () => {
  const certificate = makeCertificate()
  const runs = await Promise.all(shares.map((names) => runStates(names, certificate)))
  for (const [name, findings] of runs.flatMap((run) => [...run])) found.set(name, findings)
}, DEADLINE_MS)

describe('A function that takes a target does no harm, and settles, on a', () => {
  it.each(Object.entries(states))('%s', (name, { kind, gives }) => {
    const { outcomes, troubles } = found.get(name) ?? { outcomes: {}, troubles: ['no findings'] }
    expect(troubles).toEqual([])
    expect(Object.keys(outcomes).length).toBeGreaterThan(20)
    expect(Object.values(outcomes).filter((outcome) => outcome.startsWith('undoc'))).toEqual([])
    if (gives !== undefined) expect(outcomes['getOption(SO_KEEPALIVE)']).toBe(gives)
    const ownsSocket = kind === 'socket' && !name.startsWith('socket of an HTTP/2')
    if (ownsSocket) for (const mode of modes) expect(outcomes[`closeSocket(${mode})`]).toBe('value')
  })
})

it('every function that the root entry exports is among them, or takes no target', () => {
  const functions = Object.entries(library)
    .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
    .map(([name]) => name)
  expect(functions.sort()).toEqual(
    [...used, ...without].filter((name) => name !== 'RawSocket').sort(),
  )
})

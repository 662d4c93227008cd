/**
 * Calls every function that takes a target on targets in every known state of Node's objects, and answerEarly() on
 * requests and responses in every state. Each call must return a value or throw an error with a documented code, must
 * settle, and must do no harm. The calls run in separate processes, because a fault may crash them.
 */
import * as library from '../../lib'
import { makeCertificate } from '../helpers/certificate'
import { used, without } from './states/calls'
import { runStates, type Findings } from './states/run'
import { states } from './states/states'

/** More processes would spend more time on compiling than they would save. */
const SHARES = 2
const DEADLINE_MS = 200_000

const modes = ['fin', 'deliver', 'lingering', 'reset'] as const
const found = new Map<string, Findings>()
const foundInThreads = new Map<string, Findings>()

/** Divides the names of the states. Those that need a cluster are apart. */
function shares(): string[][] {
  const all = Object.keys(states)
  const inCluster = all.filter((name) => states[name]?.needs === 'cluster')
  const others = all.filter((name) => states[name]?.needs !== 'cluster')
  const share = (index: number): string[] => others.filter((_, at) => at % SHARES === index)
  return [inCluster, ...Array.from({ length: SHARES }, (_, index) => share(index))]
}

beforeAll(async () => {
  const certificate = makeCertificate()
  // A thread does not end while Node has lost track of one of its descriptors.
  const simple = Object.entries(states).filter(([, { needs, leaves }]) => !needs && !leaves)
  const inThreads = runStates(
    simple.map(([name]) => name),
    certificate,
    true,
  )
  const runs = await Promise.all(shares().map((names) => runStates(names, certificate)))
  for (const [name, findings] of runs.flatMap((run) => [...run])) found.set(name, findings)
  for (const [name, findings] of await inThreads) foundInThreads.set(name, findings)
}, DEADLINE_MS)

/** The findings that are faults in any state. */
function faultsOf({ outcomes, troubles }: Findings): string[] {
  return [...troubles, ...Object.values(outcomes).filter((outcome) => outcome.startsWith('undoc'))]
}

describe('every function settles and does no harm on a', () => {
  it.each(Object.entries(states))('%s', (name, { kind, gives, ends }) => {
    const { outcomes, troubles } = found.get(name) ?? { outcomes: {}, troubles: ['no findings'] }
    expect(faultsOf({ outcomes, troubles })).toEqual([])
    const isExchange = kind === 'exchange'
    expect(Object.keys(outcomes).length).toBeGreaterThan(isExchange ? 3 : 20)
    if (gives !== undefined) expect(outcomes['getOption(SO_KEEPALIVE)']).toBe(gives)
    if (ends !== undefined) expect(outcomes['answerEarly()']).toBe(ends)
    const ownsSocket = kind === 'socket' && !name.startsWith('socket of an HTTP/2')
    if (ownsSocket) for (const mode of modes) expect(outcomes[`closeSocket(${mode})`]).toBe('value')
  })
})

it('every function settles and does no harm in a worker thread', () => {
  expect(foundInThreads.size).toBeGreaterThan(300)
  for (const [name, findings] of foundInThreads) {
    expect([name, faultsOf(findings)]).toEqual([name, []])
    expect(findings.outcomes).not.toEqual({})
  }
})

it('these tests include every function of the root entry that takes a target', () => {
  const functions = Object.entries(library)
    .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
    .map(([name]) => name)
  expect(functions.sort()).toEqual(
    [...used, ...without].filter((name) => name !== 'RawSocket').sort(),
  )
})

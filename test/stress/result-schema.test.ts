/** Validates results against docs/stress-result.schema.json. */
import { once } from 'node:events'
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020'
import schema from '../../docs/stress-result.schema.json'
import { compare, compareWithBaseline, findRate, mergeResults, stress } from '../../lib/stress'
import { resultWith } from './report-results'
import { httpTarget, tcpTarget } from './servers'

const ajv = new Ajv2020({ strict: true })

const validate = ajv.compile(schema)

/** Validates without the tolerance for unknown fields, which later releases may add. */
const validateExactly = ajv.compile(closed({ ...schema, $id: `${schema.$id}:closed` }) as object)

function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, closed(each)]))
  return 'properties' in value && value.properties !== null && 'type' in value
    ? { ...copy, additionalProperties: false }
    : copy
}

function errorsOf(check: ValidateFunction, value: unknown): unknown {
  check(JSON.parse(JSON.stringify(value)))
  return check.errors ?? []
}

/** Yields each object within a value and its path. Objects whose keys vary are skipped. */
function* objectsIn(value: unknown, path = ''): Generator<[string, Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    yield* objectsIn(value[0], `${path}[0]`)
    return
  }
  yield [path, value as Record<string, unknown>]
  for (const [name, each] of Object.entries(value))
    if (name !== 'byStatus' && name !== 'fallbacks') yield* objectsIn(each, `${path}.${name}`)
}

const short = { durationMs: 50, connections: 4 } as const

const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
  'a closed loop': async () => {
    const { url } = await httpTarget()
    return stress({ target: url, amount: 20, close: 'fin', snapshotMs: 10 }).result
  },
  'an open loop': async () => {
    const { url } = await httpTarget()
    const options = { ratePerSecond: 200, arrivals: 'poisson', source: '127.0.0.1' } as const
    return stress({ target: url, ...short, ...options, warmupMs: 10 }).result
  },
  'raw TCP with errors': async () => {
    let count = 0
    const { target } = await tcpTarget((socket) => {
      // The first request tests the target.
      const answer = count++ === 0 ? 'yes' : 'no'
      socket.once('data', () => socket.end(answer))
    })
    const result = await stress({ target, send: 'x', expect: 3, amount: 5 }).result
    expect(result.errors).toMatchObject([{ code: 'CLOSED_EARLY', count: 5 }])
    return result
  },
  'a run that was aborted': async () => {
    const { url } = await httpTarget()
    const signal = AbortSignal.timeout(20)
    const [result] = await Promise.all([
      stress({ target: url, signal }).result,
      once(signal, 'abort'),
    ])
    return result
  },
  'a comparison': async () => {
    const { url } = await httpTarget()
    return compare({ target: url, ways: ['fin', 'keep-alive'], rounds: 2, ...short }).result
  },
  'a search': async () => {
    const { url } = await httpTarget()
    return findRate({ target: url, ...short, warmupMs: 1, rounds: 2 }, 'failed<=0').result
  },
  'a merged result': () => Promise.resolve(mergeResults([resultWith(), resultWith()])),
  'a run with a baseline': () => {
    const result = resultWith()
    return Promise.resolve({ ...result, baseline: compareWithBaseline(result, result) })
  },
}

describe('the schema of results', () => {
  it.each(Object.entries(kinds))('describes all fields of %s', async (_kind, make) => {
    const result = await make()
    expect(errorsOf(validate, result)).toEqual([])
    expect(errorsOf(validateExactly, result)).toEqual([])
  })

  it('requires each field of a run', () => {
    const run = resultWith()
    const missing = [...objectsIn(run)].flatMap(([path, object]) =>
      Object.entries(object).flatMap(([name, value]) => {
        Reflect.deleteProperty(object, name)
        const isValid = validate(run)
        object[name] = value
        return isValid ? [`${path}.${name}`] : []
      }),
    )
    expect(missing).toEqual([])
    expect(validate(run)).toBe(true)
  })

  it.each([
    ['another schemaVersion', { schemaVersion: 2 }],
    ['another value of ended', { ended: 'complete' }],
    ['a string instead of a number', { seconds: '3' }],
    ['null instead of a number that is always known', { seconds: null }],
    ['an unknown phase', { errors: [{ code: 'X', phase: 'x', count: 1, message: '' }] }],
  ])('refuses %s', (_what, parts) => {
    expect(validate({ ...resultWith(), ...parts })).toBe(false)
  })

  it('accepts fields of later releases', () => {
    expect(validate({ ...resultWith(), more: 1 })).toBe(true)
  })
})

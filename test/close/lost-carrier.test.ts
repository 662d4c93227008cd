import { spawnSync } from 'node:child_process'
import * as path from 'node:path'
import { makeCertificate } from '../helpers/certificate'

const PROGRAM = path.join(__dirname, 'lost-carrier-program.js')
const sides = ['client', 'server'] as const
const modes = ['fin', 'deliver', 'lingering', 'reset', 'twice'] as const

interface Case {
  side: (typeof sides)[number]
  mode: (typeof modes)[number]
}

const reported: (Case & { told: unknown[] })[] = []
let ending: object

beforeAll(() => {
  const cases = sides.flatMap((side) => modes.map((mode): Case => ({ side, mode })))
  const task = JSON.stringify({ certificate: makeCertificate(), cases })
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [PROGRAM, task], {
    encoding: 'utf8',
  })
  ending = { status, signal, stderr }
  for (const line of stdout.split('\n').filter((text) => text !== ''))
    reported.push(JSON.parse(line) as (typeof reported)[0])
})

function toldOf(side: Case['side'], mode: Case['mode']): unknown[] {
  const found = reported.find((each) => each.side === side && each.mode === mode)
  if (found === undefined) throw new Error(`Nothing was told: ${JSON.stringify(ending)}`)
  return found.told
}

describe.each(sides)(
  "closeSocket() of a TLS socket in the %s's 'secureConnect', with the connection below destroyed",
  (side) => {
    it.each(['fin', 'deliver', 'lingering', 'reset'] as const)('settles in mode %s', (mode) => {
      expect(toldOf(side, mode)).toEqual(['destroyed'])
    })

    it('settles if a second call requests a reset', () => {
      const [first, second] = toldOf(side, 'twice')
      expect(first).toBeDefined()
      expect(second).toBe(first)
    })
  },
)

it('closeSocket() within a TLS handshake does not crash the process', () => {
  expect(ending).toEqual({ status: 0, signal: null, stderr: '' })
})

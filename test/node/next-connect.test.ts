/** Contract tests: lib/node/next-connect.ts intercepts the calls of other packages, on this release of Node. */
import { createRequire } from 'node:module'
import type * as Net from 'node:net'
import * as net from 'node:net'
import type * as Tls from 'node:tls'
import { answerNextConnect, type Answers } from '../../lib/node/next-connect'
import { failureOf } from '../sockets'

const load = createRequire(__filename)
const required = { net: load('node:net') as typeof Net, tls: load('node:tls') as typeof Tls }

function refused(): never {
  throw new Error('not expected')
}

describe.each([
  ['net', 'connect'],
  ['tls', 'connectTls'],
] as const)('%s.connect() of a module that requires it', (name, answer) => {
  const answers = (own: Answers['connect']): Answers => ({
    connect: refused,
    connectTls: refused,
    [answer]: own,
  })

  it('is intercepted once, with its arguments, and is then restored', () => {
    const own = [required.net.connect, required.tls.connect]
    const socket = new net.Socket()
    const calls: unknown[][] = []
    const results: unknown[] = []
    const isAnswered = answerNextConnect(
      () => {
        results.push((required[name].connect as (...args: unknown[]) => unknown)(9, 'host'))
        expect([required.net.connect, required.tls.connect]).toEqual(own)
      },
      answers((...args) => {
        calls.push([...args])
        expect([required.net.connect, required.tls.connect]).toEqual(own)
        return socket
      }),
    )
    expect(isAnswered).toBe(true)
    expect(calls).toEqual([[9, 'host']])
    expect(results).toEqual([socket])
  })

  it('is restored if nothing calls it or an error occurs before', () => {
    const own = [required.net.connect, required.tls.connect]
    expect(answerNextConnect(() => undefined, answers(refused))).toBe(false)
    expect([required.net.connect, required.tls.connect]).toEqual(own)
    expect(failureOf(() => answerNextConnect(refused, answers(refused)))).toMatchObject({
      message: 'not expected',
    })
    expect([required.net.connect, required.tls.connect]).toEqual(own)
  })

  it('passes on an error of its replacement', () => {
    const error = failureOf(() =>
      answerNextConnect(
        () => {
          ;(required[name].connect as () => unknown)()
        },
        answers(() => {
          throw new Error('mine')
        }),
      ),
    )
    expect(error.message).toBe('mine')
  })
})

import type { Explanation } from './explanation'

type Figures = Omit<Explanation, 'text'>

/** Returns the explanation in a sentence or two. */
export function explanationText(explained: Figures): string {
  const sentences = [sendingSentence(explained)]
  if (explained.receiving.limitedBy === 'application') sentences.push(unreadSentence(explained))
  if (explained.network.symptoms.length > 0) sentences.push(networkSentence(explained))
  return sentences.join(' ')
}

function sendingSentence(explained: Figures): string {
  const { sending, info } = explained
  const { limitedBy, isCertain } = sending
  if (limitedBy === 'nothing') return `Nothing is sent in state ${info.state}.`
  if (limitedBy === 'unknown') return 'The figures do not show what limits sending.'
  const probably = isCertain ? '' : 'probably '
  const held = limitedBy === sending.now ? `: ${heldBack(explained)}` : ''
  return `Sending is ${probably}limited by ${names[limitedBy]}${shareOf(explained)}${held}.`
}

const names = {
  'peer-window': "the peer's window",
  'send-buffer': 'the send buffer',
  network: 'the network',
  pacing: 'SO_MAX_PACING_RATE',
  'partial-segment': "Nagle's algorithm or TCP_CORK",
  application: 'the application',
} as const

function shareOf({ sending: { limitedBy, shares }, periodMs }: Figures): string {
  if (periodMs === undefined || shares === undefined) return ''
  const { peerWindow, sendBuffer, underway, idle = 0 } = shares
  const over = `of ${milliseconds(periodMs)}`
  if (limitedBy === 'peer-window') return ` (${percent(peerWindow)} ${over})`
  if (limitedBy === 'send-buffer') return ` (${percent(sendBuffer)} ${over})`
  if (limitedBy === 'application')
    return ` (idle ${percent(idle)}, data in flight ${percent(underway)} ${over})`
  return ` (${percent(underway)} ${over})`
}

/** Describes this moment. */
function heldBack({ sending, info, network }: Figures): string {
  const flight = `${bytes(sending.inFlightBytes)} in flight`
  const waiting = `${bytes(sending.unsentBytes)} waiting`
  switch (sending.now) {
    case 'peer-window':
      return `${bytes(sending.peerWindowBytes)} announced, ${flight}, ${waiting}`
    case 'send-buffer':
      return `${bytes(sending.sendBufferBytes)}, all of it in flight, ${bytes(sending.unwrittenBytes)} not written yet`
    case 'pacing':
      return `${rate(sending.maxPacingRate)}, ${waiting}`
    case 'partial-segment':
      return `${waiting} for an acknowledgement, which TCP_NODELAY would send`
    case 'application':
      if (info.unacked !== 0)
        return `everything written is in flight, ${bytes(sending.inFlightBytes)}`
      if ((sending.unwrittenBytes ?? 0) > 0)
        return `${bytes(sending.unwrittenBytes)} are corked, or wait for the event loop`
      return 'the peer has acknowledged everything that was written'
    default:
      if (network.symptoms.includes('unanswered'))
        return `the peer does not answer after ${plural(info.retransmits, 'retransmission')} in a row`
      return `a congestion window of ${bytes(sending.congestionWindowBytes)}, ${flight}, ${waiting}`
  }
}

function unreadSentence({ receiving }: Figures): string {
  const { unreadBytes, unconsumedBytes, isCertain } = receiving
  const node = (unconsumedBytes ?? 0) > 0 ? ` and ${bytes(unconsumedBytes)} in its stream` : ''
  const probably = isCertain ? '' : 'probably '
  return `Receiving is ${probably}limited by the application: ${bytes(unreadBytes)} unread${node}.`
}

function networkSentence({ network, info }: Figures): string {
  const parts: string[] = []
  for (const symptom of network.symptoms) {
    switch (symptom) {
      case 'unanswered':
        parts.push(`no answer after ${plural(info.retransmits, 'retransmission')}`)
        break
      case 'loss':
        parts.push(`${plural(network.retransmittedSegments, 'segment')} sent again`)
        break
      case 'timeouts':
        parts.push(plural(network.timeouts, 'timeout'))
        break
      case 'spurious-retransmits':
        parts.push(`${plural(network.duplicates, 'segment')} received twice by the peer`)
        break
      case 'reordering':
        parts.push(plural(network.reorderings, 'reordering'))
        break
      case 'out-of-order-arrivals':
        parts.push(`${plural(network.outOfOrderArrivals, 'segment')} received out of order`)
        break
      case 'congestion-marks':
        parts.push(plural(network.congestionMarks, 'congestion mark'))
        break
      case 'raised-rtt':
        parts.push(
          `a round trip of ${milliseconds(network.rttMs)}, at its smallest ${milliseconds(network.smallestRttMs)}`,
        )
    }
  }
  return `Network: ${parts.join('; ')}.`
}

function bytes(count: number | undefined): string {
  return plural(count, 'byte')
}

function rate(value: number | undefined): string {
  return `${bytes(value)}/s`
}

function plural(count: number | undefined, noun: string): string {
  if (count === undefined) return `an unknown number of ${noun}s`
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`
}

function percent(share: number): string {
  return `${String(Math.round(share * 100))} %`
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return 'an unknown time'
  return `${String(value < 10 ? Math.round(value * 100) / 100 : Math.round(value))} ms`
}

// The log-mel frames of a stream, as bytes in a ring; and which levels its picture should span.

const FRAMES = 12_288; // two minutes at 10 ms
const LEAST_SPAN = 64; // of 256, so that silence is not stretched into a picture of noise
const STEP = 8; // by which the span must be off before everything is drawn anew

export class Spectrum {
  /** @param {number} mels bins a frame */
  constructor(mels) {
    this.clear(mels);
  }

  clear(mels) {
    this.mels = mels;
    this.data = null; // made when there is something to keep: most streams are never looked at
    this.there = null;
    this.begin = 0; // first frame that may be there
    this.end = 0; // one past the newest
    this.chunk = 0; // frames of the newest message
    this.arrived = 0; // ms at which the newest came
    this.low = 0;
    this.high = 255;
    this.version = (this.version ?? 0) + 1; // another one: all that was drawn of it is void
    this.histogram = new Float32Array(256);
    this.unweighed = 0;
  }

  /** Take frames [first, first + frames), frame by frame, each with its bins from low to high. */
  add(first, frames, mels, bytes) {
    if (mels !== this.mels || first + frames < this.end - FRAMES) this.clear(mels);
    if (!this.data) {
      this.data = new Uint8Array(FRAMES * mels);
      this.there = new Uint8Array(FRAMES);
      this.begin = this.end = first;
    }
    let late = false; // whether frames came that were drawn as missing
    if (first > this.end) this.forget(this.end, Math.min(first, this.end + FRAMES));
    for (let at = 0; at < frames; at += 1) {
      const place = (first + at) % FRAMES;
      if (first + at < this.end && !this.there[place]) late = true;
      this.data.set(bytes.subarray(at * mels, (at + 1) * mels), place * mels);
      this.there[place] = 1;
    }
    const from = Math.min(first, this.begin);
    if (first + frames > this.end) {
      this.end = first + frames;
      this.arrived = performance.now();
    }
    this.begin = Math.max(from, this.end - FRAMES, 0);
    this.chunk = frames;
    if (late) this.version += 1;
    this.weigh(bytes);
  }

  forget(from, to) {
    for (let frame = from; frame < to; frame += 1) this.there[frame % FRAMES] = 0;
  }

  has(frame) {
    return frame >= this.begin && frame < this.end && this.there[frame % FRAMES] === 1;
  }

  /** Where the bins of a frame lie in `data`. */
  placeOf(frame) {
    return (frame % FRAMES) * this.mels;
  }

  /** Follow the levels that are heard: the picture spans from the quietest common one to the loudest. */
  weigh(bytes) {
    for (let at = 0; at < bytes.length; at += 7) this.histogram[bytes[at]] += 1;
    this.unweighed += bytes.length;
    if (this.unweighed < 100 * this.mels) return;
    this.unweighed = 0;
    let total = 0;
    for (let value = 0; value < 256; value += 1) total += this.histogram[value] *= 0.97;
    const low = Math.max(0, this.quantile(0.04 * total) - 6);
    const high = Math.min(255, Math.max(low + LEAST_SPAN, this.quantile(0.998 * total) + 6));
    if (Math.abs(low - this.low) < STEP && Math.abs(high - this.high) < STEP) return;
    [this.low, this.high] = [low, high];
    this.version += 1;
  }

  quantile(weight) {
    let sum = 0;
    for (let value = 0; value < 256; value += 1) if ((sum += this.histogram[value]) >= weight) return value;
    return 255;
  }
}

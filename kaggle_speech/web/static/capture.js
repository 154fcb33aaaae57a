/** Audio worklet: the microphone's samples in chunks, for the page. */

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.chunk = new Float32Array(processorOptions.numSamples);
    this.size = 0;
  }

  process([channels]) {
    for (let index = 0; index < (channels[0]?.length ?? 0); index++) {
      this.chunk[this.size++] = channels.reduce((total, channel) => total + channel[index], 0) / channels.length;
      if (this.size === this.chunk.length) {
        this.port.postMessage(this.chunk);
        this.size = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);

// Lossless JPEG with Huffman codes (ISO/IEC 10918-1 process 14, one component), the form that DICOM archives use most.
#pragma once

#include <cstddef>
#include <cstdint>

namespace photopeak {

// Decodes one frame into rows x columns samples. Returns nullptr, or why the stream cannot be decoded.
// Never reads outside of data[0, size) nor writes outside of samples[0, rows * columns), whatever the stream says.
const char* decode_jpeg_lossless(const std::uint8_t* data, std::size_t size, std::uint32_t rows, std::uint32_t columns,
                                 std::uint16_t* samples);

}  // namespace photopeak

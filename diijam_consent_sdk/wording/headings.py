"""The words of tables and of the customer's file around the sentences, in Vietnamese and English."""

from __future__ import annotations

from collections.abc import Mapping

from .texts import Pair

HEADINGS: Mapping[str, Pair] = {
    "title": ("Hồ sơ quyền riêng tư của bạn", "Your privacy file"),
    "lead": (
        "Mọi điều bạn từng nói với Diijam về dữ liệu của mình, và những gì đang có hiệu lực.",
        "Everything you told Diijam about your data, and what holds now.",
    ),
    "contents": ("Trong hồ sơ này", "In this file"),
    "customer": ("Mã khách hàng", "Customer"),
    "made_at": ("Lập lúc", "Made on"),
    "entries": ("Số mục đã ghi", "Entries"),
    "times": (
        "Mọi thời điểm là giờ Việt Nam (Asia/Ho_Chi_Minh, GMT+7).",
        "All times are those of Vietnam (Asia/Ho_Chi_Minh, GMT+7).",
    ),
    "nothing": ("Diijam không lưu gì về mã khách hàng này.", "Diijam has nothing on record about this customer."),
    # What holds now
    "now": ("Những gì đang có hiệu lực", "What holds now"),
    "account_unknown": ("Bạn chưa từng mở tài khoản Diijam.", "You never opened a Diijam account."),
    "account_open": ("Tài khoản của bạn mở từ {at}.", "Your account has been open since {at}."),
    "account_closed": ("Tài khoản của bạn đã đóng lúc {at}.", "Your account was closed on {at}."),
    "erasing": (
        "Bạn đã yêu cầu xóa dữ liệu. Từ lúc đó Diijam không dùng dữ liệu của bạn nữa, trừ khi có nghĩa vụ bắt buộc.",
        "You asked for erasure. Since then Diijam does not use your data, except where a duty calls for it.",
    ),
    "restricted": (
        "Bạn đang hạn chế: {data}. Diijam không dùng dữ liệu này vào bất cứ việc gì, trừ khi có nghĩa vụ bắt buộc.",
        "You restrict: {data}. Diijam uses this data for nothing, except where a duty calls for it.",
    ),
    "restricted_all": (
        "Bạn đang hạn chế toàn bộ dữ liệu. Diijam không dùng dữ liệu của bạn, trừ khi có nghĩa vụ bắt buộc.",
        "You restrict all your data. Diijam does not use it, except where a duty calls for it.",
    ),
    "objected": ("Bạn đang phản đối: {purposes}.", "You object to: {purposes}."),
    "purposes": ("Dùng dữ liệu, theo từng mục đích", "Using data, purpose by purpose"),
    "channels": (
        "Khuyến mại, tiếp thị, quảng cáo, theo từng kênh",
        "Promotions, marketing and advertising, channel by channel",
    ),
    "sharing": ("Chia sẻ với bên ngoài", "Sharing with others"),
    "sharing_none": (
        "Diijam chưa báo trước việc chia sẻ nào, nên không được chia sẻ dữ liệu của bạn với ai.",
        "Diijam told you of no sharing, so it may share your data with nobody.",
    ),
    "fields": ("Hiển thị công khai và lưu giữ, theo từng mục dữ liệu", "Showing and keeping, by kind of data"),
    "purpose": ("Mục đích", "Purpose"),
    "channel": ("Kênh", "Channel"),
    "recipient": ("Bên nhận", "Recipient"),
    "data": ("Dữ liệu", "Data"),
    "answer": ("Được phép?", "Allowed?"),
    "why": ("Vì sao", "Why"),
    "clause": ("Điều", "Clause"),
    "show": ("Hiển thị công khai", "Shown publicly"),
    "retain": ("Lưu giữ", "Kept"),
    "yes": ("Được", "Yes"),
    "no": ("Không", "No"),
    "in_clause": ("điều {clause}", "clause {clause}"),
    "clauses": ("Các điều trong chính sách bảo mật của Diijam", "The clauses of Diijam's privacy policy"),
    # Requests and holds
    "requests": ("Yêu cầu và khiếu nại", "Requests and complaints"),
    "requests_none": ("Bạn chưa gửi yêu cầu hay khiếu nại nào.", "You filed no request and no complaint."),
    "request": ("Yêu cầu", "Request"),
    "received": ("Nhận được", "Received"),
    "reply": ("Phản hồi", "Reply"),
    "due": ("Hạn giải quyết", "Due"),
    "state": ("Tình trạng", "State"),
    "on_track": ("Đang xử lý, trong hạn", "Under way, in time"),
    "due_soon": ("Đang xử lý, sắp đến hạn", "Under way, due soon"),
    "overdue": ("Quá hạn", "Overdue"),
    "reply_due": ("chậm nhất {at}", "by {at}"),
    "reply_missing": ("không có; hạn là {at}", "none; it was due by {at}"),
    "extended": ("Đã gia hạn. Lý do: “{reason}”.", "Extended. The reason: “{reason}”."),
    "processor": ("Cần cả bên ngoài Diijam cùng xử lý.", "Somebody outside Diijam has to act too."),
    "reason": ("Lý do: “{reason}”.", "The reason: “{reason}”."),
    "holds": ("Dữ liệu Diijam phải giữ", "Data that Diijam has to keep"),
    "holds_none": ("Chưa có lý do nào buộc Diijam giữ dữ liệu của bạn.", "No duty ever made Diijam keep your data."),
    "hold": ("Mã", "Hold"),
    "because": ("Vì", "Because of"),
    "from": ("Từ", "From"),
    "until": ("Đến", "Until"),
    "until_released": ("khi hết lý do", "it is released"),
    "released": ("{at}, đã hết lý do", "{at}, released"),
    # Everything that was recorded
    "said": ("Mọi điều đã được ghi", "Everything on record"),
    "position": ("Vị trí trong sổ", "Position"),
    "version": ("Phiên bản", "Version"),
    "at": ("Lúc", "At"),
    "event": ("Việc", "What happened"),
    "number": ("Mục", "Entry"),
    "method": ("Cách thức", "How"),
    "by": ("Người ghi", "Written by"),
    "evidence": ("Bằng chứng", "Evidence"),
    "language": ("Hỏi bằng", "Asked in"),
    "no_provenance": (
        "Không có ghi chép về cách thức và người ghi.",
        "How this was said, and who wrote it down, is not on record.",
    ),
    "claimed": (
        "Theo lời bên nhập dữ liệu, bạn nói điều này lúc {at}. Sổ này không chứng minh được thời điểm đó.",
        "The importer claims that you said this on {at}. This ledger cannot prove that time.",
    ),
    "words_shown": ("Lời đã hiển thị: số {number}, {language}", "Words shown: number {number}, {language}"),
    "language_unknown": (
        "không có ghi chép về ngôn ngữ đã hỏi; ở đây là {language}",
        "the language of the question is not on record; here in {language}",
    ),
    "language_missing": (
        "không có bản bằng ngôn ngữ đã hỏi; ở đây là {language}",
        "there is no text in the language of the question; here in {language}",
    ),
    "words_missing": (
        "Nội dung “{notice}” chưa được đăng ký trong sổ này khi đó, nên không có ở đây.",
        "The words of the notice “{notice}” were not registered in this ledger then, so they are not here.",
    ),
    "notices": ("Những lời đã hiển thị cho bạn", "The words that you were shown"),
    "notices_none": (
        "Sổ này không có lời văn nào đã hiển thị cho bạn.",
        "No words that you were shown are registered in this ledger.",
    ),
    "registered": ("Đăng ký {at}", "Registered on {at}"),
    "digest": ("Mã băm của lời văn (SHA-256)", "Digest of the words (SHA-256)"),
    "vi": ("tiếng Việt", "Vietnamese"),
    "en": ("tiếng Anh", "English"),
    # Proof
    "proof": ("Bằng chứng", "Proof"),
    "proof_lead": (
        "Mã băm của mỗi mục nối tiếp mã băm của mục trước trong sổ, nên không mục nào bị sửa hay bỏ mà không lộ.",
        "The hash of each entry continues that of the entry before it, so none can be changed or left out unnoticed.",
    ),
    "head": ("Mốc cuối sổ khi lập hồ sơ này", "The head of the ledger when this file was made"),
    "check": ("Lệnh kiểm tra sổ còn nguyên vẹn từ lúc đó", "The command that checks the ledger against it"),
    "hash": ("Mã băm", "Hash"),
    "notice_digest": ("Mã băm của lời đã hiển thị", "Digest of the words shown"),
    # Erased
    "erased": ("Dữ liệu của bạn đã được xóa", "Your data was erased"),
    "anonymised": ("Dữ liệu của bạn đã được ẩn danh", "Your data was anonymised"),
    "tombstone": (
        "Diijam đã làm việc này lúc {at}. Sổ chỉ còn giữ dấu vết đó, không còn gì khác về bạn.",
        "Diijam did this on {at}. The ledger keeps that mark, and nothing else about you.",
    ),
}  # fmt: skip

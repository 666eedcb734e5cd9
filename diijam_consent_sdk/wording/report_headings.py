"""The words of the report on a whole ledger, in Vietnamese and English."""

from __future__ import annotations

from collections.abc import Mapping

from .headings import HEADINGS
from .texts import Pair

# What the report calls as a customer's file does.
SHARED = (
    "made_at", "entries", "times", "purposes", "channels", "sharing", "purpose", "channel", "data", "clauses",
    "requests", "request", "on_track", "due_soon", "overdue", "recipient", "check", "retain", "show",
)  # fmt: skip

REPORT_HEADINGS: Mapping[str, Pair] = {
    **{key: HEADINGS[key] for key in SHARED},
    "title": ("Báo cáo về dữ liệu khách hàng", "Report on customers' data"),
    "lead": (
        (
            "Khách hàng đã đồng ý và từ chối những gì, hiện được làm gì với dữ liệu của họ, và Diijam còn phải giải"
            " quyết những yêu cầu nào. Báo cáo chỉ có số liệu, không nêu tên hay mã khách hàng nào."
        ),
        (
            "What customers said yes and no to, what may be done with their data now, and what Diijam still owes"
            " them. It has numbers alone, and names no customer."
        ),
    ),
    "contents": ("Trong báo cáo này", "In this report"),
    "customers": ("Số khách hàng", "Customers"),
    "account_open": ("Tài khoản đang mở", "Open accounts"),
    "account_closed": ("Tài khoản đã đóng", "Closed accounts"),
    "account_erased": ("Đã xóa dữ liệu", "Erased"),
    "account_unknown": ("Chưa từng mở tài khoản", "Never opened an account"),
    "month": ("Tháng", "Month"),
    "part": ("Tỷ lệ", "Share"),
    "earlier": ("Trước đó", "Earlier"),
    "later": ("Sau đó", "Later"),
    "total": ("Tổng cộng", "Total"),
    # Yeses and noes by month
    "consents": ("Đồng ý và từ chối, theo từng tháng", "Yeses and noes, month by month"),
    "consents_lead": (
        (
            "Mỗi lần khách hàng trả lời về một mục đích được tính là một lần; riêng tiếp thị tính theo từng kênh."
            " Rút lại sự đồng ý cũng là từ chối. Dữ liệu nhập từ hệ thống cũ được tính riêng, ở phần sau. Lời của"
            " những khách hàng đã được xóa dữ liệu không còn trong sổ, nên không có trong các số này."
        ),
        (
            "Each answer of a customer about a purpose counts once, and for marketing once for each channel."
            " Withdrawing a consent is a no too. What was imported is counted apart, further down. What erased"
            " customers said is no longer in the ledger, so these numbers do not have it."
        ),
    ),
    "consents_none": ("Chưa có khách hàng nào trả lời về mục đích nào.", "No customer has answered about any purpose."),
    "said_yes": ("Đồng ý", "Yes"),
    "said_no": ("Từ chối", "No"),
    "marketing": ("tiếp thị", "marketing"),
    "chart": (
        "Biểu đồ cột: số lần đồng ý và số lần từ chối trong từng tháng. Bảng bên dưới có đủ số liệu.",
        "Bar chart of the yeses and noes of each month. The table below it has the numbers.",
    ),
    "in_each_cell": ("Trong mỗi ô: số lần đồng ý, rồi số lần từ chối.", "In each cell: the yeses, then the noes."),
    # Imports
    "imports": ("Nhập từ hệ thống cũ", "Imports"),
    "imports_lead": (
        (
            "Theo lời bên nhập dữ liệu, khách hàng đã nói những điều này trong các tháng dưới đây. Sổ không chứng"
            " minh được thời điểm đó."
        ),
        "The importers claim that customers said this in these months. The ledger cannot prove those times.",
    ),
    "imports_none": (
        "Không có lời đồng ý hay từ chối nào về mục đích sử dụng dữ liệu được nhập từ hệ thống cũ.",
        "No yes or no to a purpose was imported.",
    ),
    "imported_entries": ("Trong đó nhập từ hệ thống cũ", "Of these, imported"),
    # What may be done now
    "answers": ("Hiện được làm gì", "What may be done now"),
    "answers_lead": (
        (
            "Với mỗi điều mà một dịch vụ có thể hỏi: hiện được phép với bao nhiêu khách hàng, không được phép với"
            " bao nhiêu, và vì sao. Câu hỏi về mục đích không kèm mục dữ liệu nào, nên việc hạn chế vài mục dữ liệu"
            " không làm thay đổi các số này."
        ),
        (
            "For each ask that a service may put: for how many customers it is allowed now, for how many it is not,"
            " and why. Purposes are asked without data, so that a restriction of some fields changes none of these"
            " numbers."
        ),
    ),
    "answers_none": ("Chưa có khách hàng nào trong sổ.", "There is no customer in the ledger."),
    "allowed": ("Được phép", "Allowed"),
    "denied": ("Không được phép", "Not allowed"),
    "sharing_none": ("Chưa có lời báo trước nào về chia sẻ được đăng ký.", "No notice of a sharing is registered."),
    "unregistered": (
        (
            "Số lần khách hàng được báo trước về việc chia sẻ theo nội dung thông báo chưa đăng ký: {count}. Việc"
            " chia sẻ đó chỉ có trong bảng trên nếu trùng với một nội dung thông báo đã đăng ký."
        ),
        (
            "Customers were notified of a sharing by an unregistered notice this many times: {count}. Such a sharing"
            " is in the table above only if a registered notice names the same."
        ),
    ),
    "why": ("{reason} (điều {clause})", "{reason} (clause {clause})"),
    # Requests
    "requests_lead": (
        (
            "Các yêu cầu chưa giải quyết xong. Quá hạn là khi đã quá hạn giải quyết, hoặc đã quá hạn phản hồi mà"
            " chưa phản hồi."
        ),
        (
            "Requests that are not done. One is overdue once the time of the deed has passed, or that of a reply"
            " that was not given."
        ),
    ),
    "open_total": ("Chưa xong", "Open"),
    "filed": ("Đã nhận", "Filed"),
    "overdue_none": ("Không có yêu cầu nào quá hạn.", "No request is overdue."),
    "late_replies": ("Chưa phản hồi", "Without a reply"),
    "late_deeds": ("Chưa giải quyết", "Not done"),
    "overdue_since": ("Quá hạn sớm nhất từ", "First overdue since"),
    "due_command": (
        "Lệnh {command} liệt kê từng yêu cầu, cùng mã khách hàng.",
        "The command {command} lists each request, with its customer.",
    ),
    "ended": ("Yêu cầu đã kết thúc", "Requests that ended"),
    "ended_lead": (
        "Yêu cầu của những khách hàng đã được xóa dữ liệu không còn trong sổ.",
        "The ledger no longer has the requests of erased customers.",
    ),
    "outcome": ("Kết quả", "Outcome"),
    "number": ("Số lượng", "Number"),
    # Erasures
    "erasures": ("Xóa dữ liệu", "Erasures"),
    "erasures_lead": (
        "Những yêu cầu xóa dữ liệu chưa thực hiện xong, và vì sao còn phải chờ. Một yêu cầu có thể chờ vì nhiều lý do.",
        "Erasures that were asked for and are not done, and what they wait for. One may wait for several things.",
    ),
    "erasures_none": ("Không có yêu cầu xóa dữ liệu nào đang chờ.", "No erasure is pending."),
    "state": ("Tình trạng", "State"),
    "erasable": ("Có thể xóa ngay", "May be done now"),
    "held": ("Còn phải chờ", "Has to wait"),
    "in_time": ("Trong hạn", "In time"),
    "waits": ("Phải chờ vì", "Waiting for"),
    "unconfirmed": (
        "nơi giữ bản sao, chưa xác nhận đã xóa",
        "it has copies, and has not confirmed that it erased them",
    ),
    "waiting": ("Số yêu cầu phải chờ", "Erasures that wait"),
    "done": ("Đã thực hiện", "Done"),
    "done_none": ("Chưa có khách hàng nào được xóa dữ liệu.", "No customer has been erased."),
    "done_lead": (
        "Sau khi xóa, sổ chỉ còn giữ việc đã xóa và thời điểm, nên không còn biết đã phải chờ bao lâu và vì sao.",
        (
            "Of an erased customer the ledger keeps only that it was done, and when. So it no longer tells how long"
            " that took and what it waited for."
        ),
    ),
    "erased": ("Đã xóa", "Erased"),
    "anonymised": ("Đã ẩn danh", "Anonymised"),
    # Where the numbers come from
    "source": ("Nguồn số liệu", "Where the numbers come from"),
    "head": ("Mốc cuối sổ khi lập báo cáo này", "The head of the ledger when this report was made"),
    "source_lead": (
        (
            "Các số theo tháng tính đến mốc cuối sổ dưới đây. Những số khác được đọc ngay sau đó, nên có thể gồm cả"
            " điều vừa được ghi trong lúc lập báo cáo."
        ),
        (
            "The numbers by month go down to this head of the ledger. The others were read right after, so they may"
            " have what was written while the report was made."
        ),
    ),
}  # fmt: skip
